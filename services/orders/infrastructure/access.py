"""Who may do what to orders. With AUTH=off every caller has every role."""

from uuid import UUID

from libs.runtime.auth import Caller
from services.orders.application.ports import Scope
from services.orders.domain.errors import NoCustomerRecord, NotYourCustomer

ADMIN, OPERATOR, BUYER = "admin", "operator", "buyer"


def may_order(caller: Caller, customer_id: UUID | None) -> None:
    """A buyer buys for himself only; an order that names no customer is the staff's."""
    if caller.may(ADMIN) or (customer_id is None and caller.may(OPERATOR)):
        return
    caller.require(BUYER)
    if not caller.owns_customer(customer_id):
        raise NotYourCustomer(field="customer_id")


def readable(caller: Caller, customer_id: UUID | None = None) -> Scope:
    """What the caller may see, narrowed to one customer where one is named."""
    if caller.may(OPERATOR, ADMIN):
        return Scope(caller.tenant_id, customer_id)
    own = _own(caller)
    if customer_id is not None and customer_id != own:
        raise NotYourCustomer(field="customer")
    return Scope(caller.tenant_id, own)


def writable(caller: Caller) -> Scope:
    """Among what the caller may confirm; `may_order` decides once it is known whose it is."""
    return Scope(caller.tenant_id, None if caller.may(OPERATOR, ADMIN) else _own(caller))


def cancellable(caller: Caller) -> Scope:
    """It is the buyer who gives up; an admin may do it for him."""
    return Scope(caller.tenant_id, None if caller.may(ADMIN) else _own(caller))


def closable(caller: Caller) -> Scope:
    """Whoever hands the vehicle over closes the order, or the buyer who has picked it up."""
    return Scope(caller.tenant_id, None if caller.may(OPERATOR, ADMIN) else _own(caller))


def _own(caller: Caller) -> UUID:
    caller.require(BUYER)
    if caller.customer_id is None:
        raise NoCustomerRecord
    return caller.customer_id
