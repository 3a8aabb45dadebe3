"""This function decides who may do what to payouts. With AUTH=off every caller has every role."""

from uuid import UUID

from libs.runtime.auth import Caller
from services.payouts.domain.errors import NoSeller

ADMIN, OPERATOR, SELLER = "admin", "operator", "seller"


def only_seller(caller: Caller) -> UUID | None:
    """Return the one seller whose payouts the caller sees, or None where the caller sees all.
    Raises NoSeller.
    """
    caller.require(SELLER, OPERATOR, ADMIN)
    if caller.may(OPERATOR, ADMIN):
        return None
    try:
        return UUID(caller.subject)
    except ValueError:
        raise NoSeller from None
