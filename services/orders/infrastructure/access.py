"""These functions decide who may do what to orders. With AUTH=off every caller has every role."""

from uuid import UUID

from libs.runtime.auth import Caller
from services.orders.application.ports import Scope
from services.orders.domain.errors import NoCustomerRecord, NotYourCustomer

ADMIN, OPERATOR, BUYER = "admin", "operator", "buyer"


def may_order(caller: Caller, customer_id: UUID | None) -> None:
    """An admin may order for anyone, an operator without a customer, a buyer for the own record."""
    if caller.may(ADMIN) or (customer_id is None and caller.may(OPERATOR)):
        return
    caller.require(BUYER)
    if not caller.owns_customer(customer_id):
        raise NotYourCustomer(field="customer_id")


def readable(caller: Caller, customer_id: UUID | None = None) -> Scope:
    """Return the orders that the caller may read, limited to one customer where one is named."""
    if caller.may(OPERATOR, ADMIN):
        return Scope(caller.tenant_id, customer_id)
    own = _own(caller)
    if customer_id is not None and customer_id != own:
        raise NotYourCustomer(field="customer")
    return Scope(caller.tenant_id, own)


def writable(caller: Caller) -> Scope:
    """Return the orders among which the caller may confirm those that `may_order` allows."""
    return Scope(caller.tenant_id, None if caller.may(OPERATOR, ADMIN) else _own(caller))


def cancellable(caller: Caller) -> Scope:
    """Return the orders that the caller may cancel. An admin cancels in the buyer's name."""
    return Scope(caller.tenant_id, None if caller.may(ADMIN) else _own(caller))


def closable(caller: Caller) -> Scope:
    """Return the orders that the caller may close: a buyer the own ones, staff all."""
    return Scope(caller.tenant_id, None if caller.may(OPERATOR, ADMIN) else _own(caller))


def _own(caller: Caller) -> UUID:
    caller.require(BUYER)
    if caller.customer_id is None:
        raise NoCustomerRecord
    return caller.customer_id
