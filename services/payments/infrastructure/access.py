"""These functions decide who may do what to payments. With AUTH=off every caller has every role."""

from collections.abc import Callable

from libs.runtime.auth import Caller
from services.payments.domain.payment import Payment

ADMIN, OPERATOR, BUYER = "admin", "operator", "buyer"


def visible(caller: Caller) -> Callable[[Payment], bool]:
    """Return a test of what the caller sees: an operator all payments, a buyer the own ones."""
    caller.require(BUYER, OPERATOR)
    if caller.may(OPERATOR):
        return lambda _: True
    return lambda payment: caller.owns_customer(payment.customer_id)


def visible_code(caller: Caller) -> Callable[[Payment], bool]:
    """Return the same test for codes. Admins read them too, because orders shows them to admins."""
    return (lambda _: True) if caller.may(ADMIN) else visible(caller)
