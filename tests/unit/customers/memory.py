"""Implements the ports in memory, with the same rules as in Postgres.

Rows are stored and handed out as copies: a change that is not saved is lost, as in a database.
"""

from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from libs.kernel.events import DomainEvent
from services.customers.application.ports import Hold
from services.customers.domain.credit import Credit
from services.customers.domain.credit_reservation import (
    CreditReservation,
    Refusal,
    ReservationState,
)
from services.customers.domain.customer import Customer
from services.customers.domain.errors import CustomerNotFound, DocumentTaken
from services.customers.domain.personal_data import PersonalData

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANA = PersonalData("Ana Souza", "ana@example.com", "+5511912345678", "52998224725")
TENANT = "default"


def a_customer(customer_id: UUID, limit_cents: int = 10_000) -> Customer:
    return Customer(customer_id, TENANT, ANA, Credit(limit_cents), created_at=NOW, updated_at=NOW)


@dataclass
class MemoryCustomers:
    rows: dict[UUID, Customer] = field(default_factory=dict)

    async def add(self, customer: Customer) -> None:
        document = customer.present().document or ""
        if await self.find_by_document(customer.tenant_id, document):
            raise DocumentTaken("another customer has this document", field="document")
        self.rows[customer.id] = copy(customer)

    async def get(self, tenant_id: str, customer_id: UUID) -> Customer:
        customer = await self.lock_even_erased(tenant_id, customer_id)
        customer.present()
        return customer

    lock = get

    async def lock_even_erased(self, tenant_id: str, customer_id: UUID) -> Customer:
        customer = self.rows.get(customer_id)
        if customer is None or customer.tenant_id != tenant_id:
            raise CustomerNotFound("no such customer")
        return copy(customer)

    async def find_locked_of_user(self, tenant_id: str, user_id: UUID) -> Customer | None:
        return next((c for c in self._of(tenant_id) if c.user_id == user_id), None)

    async def save(self, customer: Customer) -> None:
        self.rows[customer.id] = copy(customer)

    async def find_by_document(self, tenant_id: str, document: str) -> list[Customer]:
        return [c for c in self._of(tenant_id) if c.present().document == document]

    async def find_by_email(self, tenant_id: str, email: str) -> list[Customer]:
        return [c for c in self._of(tenant_id) if c.present().email == email]

    def _of(self, tenant_id: str) -> list[Customer]:
        return [
            copy(customer)
            for customer in self.rows.values()
            if customer.tenant_id == tenant_id and not customer.is_erased
        ]


@dataclass
class MemoryReservations:
    customers: dict[UUID, Customer]
    rows: dict[UUID, CreditReservation] = field(default_factory=dict)
    closed: dict[UUID, bool] = field(default_factory=dict)

    async def add_holding_credit(self, reservation: CreditReservation) -> Hold:
        if reservation.order_id in self.rows:
            return Hold.DECIDED_BEFORE
        self.rows[reservation.order_id] = copy(reservation)
        customer = self._customer(reservation)
        if customer is None or customer.is_erased:
            return Hold.NOT_HELD
        if customer.credit.available_cents < reservation.price_cents:
            return Hold.NOT_HELD
        self._move(customer, reserved=reservation.price_cents)
        return Hold.HELD

    async def why_not_held(self, reservation: CreditReservation) -> Refusal:
        customer = self._customer(reservation)
        if customer is None:
            return Refusal.UNKNOWN_CUSTOMER
        return Refusal.CUSTOMER_ERASED if customer.is_erased else Refusal.CREDIT_TOO_LOW

    async def add_or_lock(self, tombstone: CreditReservation) -> CreditReservation | None:
        earlier = self.rows.get(tombstone.order_id)
        if earlier is None:
            self.rows[tombstone.order_id] = copy(tombstone)
        return copy(earlier)

    async def give_back(self, reservation: CreditReservation, held_as: ReservationState) -> None:
        self.rows[reservation.order_id] = copy(reservation)
        customer = self._customer(reservation)
        assert customer is not None
        if held_as is ReservationState.RESERVED:
            self._move(customer, reserved=-reservation.price_cents)
        else:
            self._move(customer, consumed=-reservation.price_cents)

    async def save(self, reservation: CreditReservation) -> None:
        self.rows[reservation.order_id] = copy(reservation)

    async def consume(self, order_id: UUID) -> None:
        record = self.rows.get(order_id)
        if record is not None and record.state is ReservationState.RESERVED:
            self.rows[order_id] = replace(record, state=ReservationState.CONSUMED)
            customer = self._customer(record)
            assert customer is not None
            self._move(customer, reserved=-record.price_cents, consumed=record.price_cents)

    async def mark_closed(self, order_id: UUID) -> None:
        if order_id in self.rows:
            self.closed[order_id] = True

    async def any_open(self, customer_id: UUID) -> bool:
        return any(
            row.state is ReservationState.RESERVED
            or (row.state is ReservationState.CONSUMED and row.order_id not in self.closed)
            for row in self.rows.values()
            if row.customer_id == customer_id
        )

    def _customer(self, reservation: CreditReservation) -> Customer | None:
        assert reservation.customer_id is not None
        customer = self.customers.get(reservation.customer_id)
        of_tenant = customer is not None and customer.tenant_id == reservation.tenant_id
        return customer if of_tenant else None

    def _move(self, customer: Customer, *, reserved: int = 0, consumed: int = 0) -> None:
        credit = customer.credit
        moved = replace(
            credit,
            reserved_cents=credit.reserved_cents + reserved,
            consumed_cents=credit.consumed_cents + consumed,
        )
        self.customers[customer.id] = replace(customer, credit=moved)


class MemoryUnitOfWork:
    def __init__(self, *customers: Customer) -> None:
        self.customers = MemoryCustomers({customer.id: customer for customer in customers})
        self.reservations = MemoryReservations(self.customers.rows)
        self.events: list[DomainEvent] = []

    def publish(self, *events: DomainEvent) -> None:
        self.events.extend(events)


@dataclass
class MemoryLedger:
    entries: list[tuple[str, UUID, datetime]] = field(default_factory=list)

    async def record(self, tenant_id: str, customer_id: UUID, erased_at: datetime) -> None:
        self.entries.append((tenant_id, customer_id, erased_at))
