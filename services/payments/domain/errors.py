"""Payments refuses requests with these errors."""

from libs.kernel.errors import Conflict, Invalid, NotFound, StaleVersion


class PaymentNotFound(NotFound):
    code = "payment-not-found"
    text = "There is no such payment."


class PaymentCodeNotFound(NotFound):
    code = "payment-code-not-found"
    text = "There is no such payment code, or not yet."

    def __init__(self, field: str) -> None:
        super().__init__(field=field)


class MistypedCode(Invalid):
    code = "payment-code-mistyped"
    text = "The payment code is mistyped."

    def __init__(self) -> None:
        super().__init__(field="code")


class PaymentCodeExpired(Conflict):
    code = "payment-code-expired"
    text = "The payment code has expired."

    def __init__(self) -> None:
        super().__init__(field="code")


class PaymentCodeVoided(Conflict):
    code = "payment-code-voided"
    text = "The purchase was cancelled, and its payment code with it."

    def __init__(self) -> None:
        super().__init__(field="code")


class RefundNotFailed(Conflict):
    code = "refund-not-failed"
    text = "Only a refund that failed can be retried or settled by hand."


class ChargeNotUnanswered(Conflict):
    code = "charge-not-unanswered"
    text = "Only a charge that the gateway leaves unanswered can be settled by hand."


class ChargeInFlight(Conflict):
    code = "charge-in-flight"
    text = "The gateway is being asked for this charge right now: look again."


class RefundInFlight(Conflict):
    code = "refund-in-flight"
    text = "The gateway is being asked for this refund right now: look again."


class StalePayment(StaleVersion):
    text = "The payment has changed since it was read."


class ReferenceAndOutcome(Invalid):
    code = "reference-and-outcome"
    text = "A charge has the reference of the gateway, and no charge has none."
