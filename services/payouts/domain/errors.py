"""Payouts refuses requests with these errors."""

from libs.kernel.errors import Conflict, Forbidden, Invalid, NotFound, StaleVersion


class PayoutNotFound(NotFound):
    code = "payout-not-found"
    text = "There is no such payout."


class ReservedExternalId(Invalid):
    code = "external-id-reserved"
    text = "Ids that begin with '{prefix}' are those of orders, which are paid by themselves."

    def __init__(self, prefix: str) -> None:
        super().__init__(field="external_id", prefix=prefix)


class PayoutNotFailed(Conflict):
    code = "payout-not-failed"
    text = "Only a payout that failed can be retried."


class PayoutNotUnanswered(Conflict):
    code = "payout-not-unanswered"
    text = "Only a payout that the bank leaves unanswered can be settled by hand."


class PayoutInFlight(Conflict):
    code = "payout-in-flight"
    text = "The bank is being asked for this payout right now: look again."


class StalePayout(StaleVersion):
    text = "The payout has changed since it was read."


class NoSeller(Forbidden):
    code = "no-seller"
    text = "The token names no seller."


class ReferenceAndOutcome(Invalid):
    code = "reference-and-outcome"
    text = "A transfer has the reference of the bank, and no transfer has none."
