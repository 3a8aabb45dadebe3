"""Functions here decide who may see what. A thing that a caller may not see is not found."""

from libs.runtime.auth import Caller
from services.portal.domain.errors import PurchaseNotFound
from services.portal.domain.timeline import Purchase
from services.portal.domain.user import ADMIN, BUYER, OPERATOR, SELLER


def may_read_purchase(caller: Caller, purchase: Purchase | None) -> Purchase:
    """Return the purchase. Raises Forbidden, PurchaseNotFound."""
    caller.require(BUYER, OPERATOR, ADMIN)
    if purchase is None or not (
        caller.may(OPERATOR, ADMIN) or caller.owns_customer(purchase.customer_id)
    ):
        raise PurchaseNotFound
    return purchase


def may_read_audits(caller: Caller) -> None:
    caller.require(OPERATOR, ADMIN)


def may_read_submissions(caller: Caller) -> bool:
    """Return whether the caller may read all submissions, else only own ones. Raises Forbidden."""
    caller.require(SELLER, OPERATOR, ADMIN)
    return caller.may(OPERATOR, ADMIN)
