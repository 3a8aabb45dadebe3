"""What payments refuses, and why."""

from libs.kernel.errors import Conflict, Invalid, NotFound, StaleVersion


class PaymentNotFound(NotFound):
    code = "payment-not-found"

    def __init__(self) -> None:
        super().__init__("There is no such payment.")


class PaymentCodeNotFound(NotFound):
    code = "payment-code-not-found"

    def __init__(self, field: str) -> None:
        super().__init__("There is no such payment code, or not yet.", field=field)


class MistypedCode(Invalid):
    code = "payment-code-mistyped"

    def __init__(self) -> None:
        super().__init__("The payment code is mistyped.", field="code")


class PaymentCodeExpired(Conflict):
    code = "payment-code-expired"

    def __init__(self) -> None:
        super().__init__("The payment code has expired.", field="code")


class PaymentCodeVoided(Conflict):
    code = "payment-code-voided"

    def __init__(self) -> None:
        super().__init__("The purchase was cancelled, and its payment code with it.", field="code")


class RefundNotFailed(Conflict):
    code = "refund-not-failed"

    def __init__(self) -> None:
        super().__init__("Only a refund that failed can be retried or settled by hand.")


class ChargeNotUnanswered(Conflict):
    code = "charge-not-unanswered"

    def __init__(self) -> None:
        super().__init__("Only a charge that the gateway leaves unanswered can be settled by hand.")


class ChargeInFlight(Conflict):
    code = "charge-in-flight"

    def __init__(self) -> None:
        super().__init__("The gateway is being asked for this charge right now: look again.")


class RefundInFlight(Conflict):
    code = "refund-in-flight"

    def __init__(self) -> None:
        super().__init__("The gateway is being asked for this refund right now: look again.")


class StalePayment(StaleVersion):
    def __init__(self) -> None:
        super().__init__("The payment has changed since it was read.")
