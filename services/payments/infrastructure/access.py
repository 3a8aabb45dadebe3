"""Who may do what to payments. With AUTH=off every caller has every role."""

from collections.abc import Callable

from libs.runtime.auth import Caller
from services.payments.domain.payment import Payment

ADMIN, OPERATOR, BUYER = "admin", "operator", "buyer"


def visible(caller: Caller) -> Callable[[Payment], bool]:
    """An operator sees every payment of the tenant, a buyer only the own ones."""
    caller.require(BUYER, OPERATOR)
    if caller.may(OPERATOR):
        return lambda _: True
    return lambda payment: caller.owns_customer(payment.customer_id)


def visible_code(caller: Caller) -> Callable[[Payment], bool]:
    """An admin may read a code too, because orders shows it to admins already."""
    return (lambda _: True) if caller.may(ADMIN) else visible(caller)
