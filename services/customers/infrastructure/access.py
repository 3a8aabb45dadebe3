"""Functions here decide who may do what to customers. With AUTH=off every caller has every role."""

from uuid import UUID

from libs.kernel.errors import RoleNeeded
from libs.runtime.auth import Caller
from services.customers.domain.errors import CustomerNotFound, NotYourself, RegisteredAlready

ADMIN, OPERATOR, BUYER = "admin", "operator", "buyer"


def may_register(caller: Caller, credit_limit_cents: int) -> None:
    """A buyer registers only the own record and sets no limit; an admin registers anyone."""
    if caller.may(ADMIN):
        return
    caller.require(BUYER)
    if caller.customer_id is not None:
        raise RegisteredAlready
    if credit_limit_cents:
        raise RoleNeeded(ADMIN, field="credit_limit_cents")


def may_register_user(caller: Caller, user_id: UUID) -> None:
    """A buyer may change the own record; an admin may change anybody's."""
    if caller.may(ADMIN):
        return
    caller.require(BUYER)
    if caller.subject != str(user_id):
        raise NotYourself


def may_read(caller: Caller, customer_id: UUID, *, full: bool) -> None:
    """Raise CustomerNotFound for another buyer's record, so that nobody finds ids by trying."""
    if caller.may(ADMIN) or _is_own(caller, customer_id):
        return
    if full or not caller.may(OPERATOR):
        _refuse(caller)


def may_ask_for_credit(caller: Caller, customer_id: UUID) -> None:
    """The customer may ask, and an admin for a customer who has asked in person."""
    may_edit(caller, customer_id)


def may_edit(caller: Caller, customer_id: UUID) -> None:
    if not (caller.may(ADMIN) or _is_own(caller, customer_id)):
        _refuse(caller)


def _is_own(caller: Caller, customer_id: UUID) -> bool:
    return caller.may(BUYER) and caller.owns_customer(customer_id)


def _refuse(caller: Caller) -> None:
    if caller.may(OPERATOR):
        raise RoleNeeded(ADMIN)
    caller.require(BUYER)
    raise CustomerNotFound
