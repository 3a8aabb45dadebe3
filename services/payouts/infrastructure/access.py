"""Who may do what to payouts. With AUTH=off every caller has every role."""

from uuid import UUID

from libs.runtime.auth import Caller
from services.payouts.domain.errors import NoSeller

ADMIN, OPERATOR, SELLER = "admin", "operator", "seller"


def only_seller(caller: Caller) -> UUID | None:
    """The one seller whose payouts the caller sees; None for a caller who sees those of all
    sellers.
    """
    caller.require(SELLER, OPERATOR, ADMIN)
    if caller.may(OPERATOR, ADMIN):
        return None
    try:
        return UUID(caller.subject)
    except ValueError:
        raise NoSeller from None
