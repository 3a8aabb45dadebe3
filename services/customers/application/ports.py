"""What the use cases need from outside."""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Protocol
from uuid import UUID

from libs.kernel.events import DomainEvent
from services.customers.domain.credit_reservation import (
    CreditReservation,
    Refusal,
    ReservationState,
)
from services.customers.domain.customer import Customer


class Hold(Enum):
    """The result of an attempt to hold credit for a purchase."""

    HELD = "held"
    NOT_HELD = "not held"
    DECIDED_BEFORE = "decided before"


class CustomerRepository(Protocol):
    async def add(self, customer: Customer) -> None:
        """Raises DocumentTaken when the tenant has a customer with this document."""

    async def get(self, tenant_id: str, customer_id: UUID) -> Customer:
        """Raises CustomerNotFound, also when erased."""

    async def lock(self, tenant_id: str, customer_id: UUID) -> Customer:
        """Like `get`, and the row is locked until the transaction ends."""

    async def lock_even_erased(self, tenant_id: str, customer_id: UUID) -> Customer:
        """Raises CustomerNotFound only where the customer never existed."""

    async def find_locked_of_user(self, tenant_id: str, user_id: UUID) -> Customer | None:
        """The user's own record, or None. Nobody else adds or changes it until the transaction
        ends.
        """

    async def save(self, customer: Customer) -> None:
        """Write back a locked customer."""

    async def find_by_document(self, tenant_id: str, document: str) -> Sequence[Customer]:
        """One customer or None; `document` in normal form."""

    async def find_by_email(self, tenant_id: str, email: str) -> Sequence[Customer]:
        """Oldest first; `email` in normal form."""


class ReservationRepository(Protocol):
    async def add_holding_credit(self, reservation: CreditReservation) -> Hold:
        """Add the record where there is none, then subtract its total from the available credit."""

    async def why_not_held(self, reservation: CreditReservation) -> Refusal:
        """The reason for NOT_HELD."""

    async def add_or_lock(self, tombstone: CreditReservation) -> CreditReservation | None:
        """Add the tombstone where there is no record and return None; else lock the record and
        return it.
        """

    async def give_back(self, reservation: CreditReservation, held_as: ReservationState) -> None:
        """Write back a released record; the credit it held, RESERVED or CONSUMED, is available
        again.
        """

    async def save(self, reservation: CreditReservation) -> None:
        """Write back a locked or just added record."""

    async def consume(self, order_id: UUID) -> None:
        """RESERVED -> CONSUMED with its credit. Any other record, or none, does not change."""

    async def mark_closed(self, order_id: UUID) -> None:
        """Note that the order is closed. Does nothing without a record."""

    async def any_open(self, customer_id: UUID) -> bool:
        """Whether any record is RESERVED, or CONSUMED with an order that is not closed."""


class CustomersUnitOfWork(Protocol):
    @property
    def customers(self) -> CustomerRepository: ...

    @property
    def reservations(self) -> ReservationRepository: ...

    def publish(self, *events: DomainEvent) -> None: ...


class ErasureLedger(Protocol):
    """The list of erasures. It is kept outside the database and its dumps, and is replayed after a
    restore, because a restore brings erased rows back.
    """

    async def record(self, tenant_id: str, customer_id: UUID, erased_at: datetime) -> None:
        """The entry is durable when this returns."""
