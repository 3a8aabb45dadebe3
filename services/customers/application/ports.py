"""The use cases need these ports: the repositories, the ledger, and a way to publish events."""

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
    """An attempt to hold credit for a purchase has one of these results."""

    HELD = "held"
    NOT_HELD = "not held"
    DECIDED_BEFORE = "decided before"


class CustomerRepository(Protocol):
    async def add(self, customer: Customer) -> None:
        """Insert the customer. Raises DocumentTaken when the tenant has one with this document."""

    async def get(self, tenant_id: str, customer_id: UUID) -> Customer:
        """Return the customer. Raises CustomerNotFound, also for an erased one."""

    async def lock(self, tenant_id: str, customer_id: UUID) -> Customer:
        """Return the same as `get`, and lock the row until the transaction ends."""

    async def lock_even_erased(self, tenant_id: str, customer_id: UUID) -> Customer:
        """Lock and return the customer. Raises CustomerNotFound only where there never was one."""

    async def find_locked_of_user(self, tenant_id: str, user_id: UUID) -> Customer | None:
        """Return the user's own record, or None. Nobody else adds or changes it until the
        transaction ends.
        """

    async def save(self, customer: Customer) -> None:
        """Write the changes of a locked customer."""

    async def find_by_document(self, tenant_id: str, document: str) -> Sequence[Customer]:
        """Return at most one customer. `document` is in normal form."""

    async def find_by_email(self, tenant_id: str, email: str) -> Sequence[Customer]:
        """Return the customers, oldest first. `email` is in normal form."""


class ReservationRepository(Protocol):
    async def add_holding_credit(self, reservation: CreditReservation) -> Hold:
        """Add the record where there is none, then subtract its total from the available credit."""

    async def why_not_held(self, reservation: CreditReservation) -> Refusal:
        """Return the reason for NOT_HELD."""

    async def add_or_lock(self, tombstone: CreditReservation) -> CreditReservation | None:
        """Lock and return the record. Where there is none, add the tombstone and return None."""

    async def give_back(self, reservation: CreditReservation, held_as: ReservationState) -> None:
        """Write a released record. The credit that it held, RESERVED or CONSUMED, is available
        again.
        """

    async def save(self, reservation: CreditReservation) -> None:
        """Write a record that was locked or has just been added."""

    async def consume(self, order_id: UUID) -> None:
        """Change a RESERVED record and its credit to CONSUMED. Any other state does not change."""

    async def mark_closed(self, order_id: UUID) -> None:
        """Note that the order is closed, where there is a record."""

    async def any_open(self, customer_id: UUID) -> bool:
        """Return whether a record is RESERVED, or CONSUMED with an order that is not closed."""


class CustomersUnitOfWork(Protocol):
    @property
    def customers(self) -> CustomerRepository: ...

    @property
    def reservations(self) -> ReservationRepository: ...

    def publish(self, *events: DomainEvent) -> None: ...


class ErasureLedger(Protocol):
    """The ledger lists the erasures. It is kept outside the database and its dumps, and is replayed
    after a restore, because a restore brings erased rows back.
    """

    async def record(self, tenant_id: str, customer_id: UUID, erased_at: datetime) -> None:
        """Write an entry, which is durable when this returns."""
