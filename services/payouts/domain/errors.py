"""What payouts refuses, and why."""

from libs.kernel.errors import Conflict, Invalid, NotFound, StaleVersion


class PayoutNotFound(NotFound):
    code = "payout-not-found"

    def __init__(self) -> None:
        super().__init__("There is no such payout.")


class ReservedExternalId(Invalid):
    code = "external-id-reserved"

    def __init__(self, prefix: str) -> None:
        super().__init__(
            f"Ids that begin with {prefix!r} are those of orders, which are paid by themselves.",
            field="external_id",
        )


class PayoutNotFailed(Conflict):
    code = "payout-not-failed"

    def __init__(self) -> None:
        super().__init__("Only a payout that failed can be retried.")


class PayoutNotUnanswered(Conflict):
    code = "payout-not-unanswered"

    def __init__(self) -> None:
        super().__init__("Only a payout that the bank leaves unanswered can be settled by hand.")


class PayoutInFlight(Conflict):
    code = "payout-in-flight"

    def __init__(self) -> None:
        super().__init__("The bank is being asked for this payout right now: look again.")


class StalePayout(StaleVersion):
    def __init__(self) -> None:
        super().__init__("The payout has changed since it was read.")
