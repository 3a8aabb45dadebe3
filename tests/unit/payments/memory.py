"""Implements the ports in memory. A test moves their time, by seconds."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from libs.kernel.events import DomainEvent
from services.payments.application.generate_payment_code import CodeTerms
from services.payments.domain.errors import PaymentCodeNotFound, PaymentNotFound
from services.payments.domain.gateway import Approved, Declined
from services.payments.domain.payment import AWAITING_GATEWAY, Payment, State

TERMS = CodeTerms(timedelta(seconds=60), 1_000_000)
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class MemoryPayments:
    """Rows are stored as copies, so that a change that is not saved is lost as in a database."""

    now: datetime = START
    rows: dict[UUID, Payment] = field(default_factory=dict)
    due: dict[UUID, datetime] = field(default_factory=dict)
    new_id: Callable[[], UUID] = uuid4

    async def add(self, payment: Payment, *, code_lives: timedelta) -> bool:
        if payment.order_id in self.rows:
            return False
        payment.expires_at = self.now + code_lives
        self.rows[payment.order_id] = copy(payment)
        return True

    async def add_or_lock(self, tombstone: Payment) -> Payment:
        if tombstone.order_id not in self.rows:
            self.rows[tombstone.order_id] = copy(tombstone)
            return tombstone
        return copy(self.rows[tombstone.order_id])

    async def lock(self, order_id: UUID) -> Payment:
        return copy(_there(self.rows.get(order_id)))

    async def find_locked(self, order_id: UUID) -> Payment | None:
        return copy(self.rows.get(order_id))

    async def lock_by_id(self, tenant_id: str, payment_id: UUID) -> Payment:
        return _there(await self.find(tenant_id, payment_id))

    async def lock_by_code(self, tenant_id: str, code: str) -> tuple[Payment, bool]:
        found = await self.find_by_code(tenant_id, code)
        if found is None or found.expires_at is None:
            raise PaymentCodeNotFound("code")
        return found, found.expires_at <= self.now

    async def lock_overdue(self, limit: int) -> Sequence[Payment]:
        return [
            copy(row)
            for row in self.rows.values()
            if row.state is State.PENDING and row.expires_at and row.expires_at <= self.now
        ][:limit]

    async def claim_calls(self, limit: int, lease: timedelta) -> Sequence[Payment]:
        due = [self.rows[key] for key, due in self.due.items() if due <= self.now][:limit]
        claimed = [replace(row, attempts=row.attempts + 1, claim=self.new_id()) for row in due]
        for row in claimed:
            self.due[row.order_id] = self.now + lease
            self.rows[row.order_id] = copy(row)
        return claimed

    async def save(self, *payments: Payment) -> None:
        for payment in payments:
            if payment.state not in AWAITING_GATEWAY:
                self.due.pop(payment.order_id, None)
            elif payment.call_in is not None:
                self.due[payment.order_id] = self.now + payment.call_in
            payment.call_in = None
            self.rows[payment.order_id] = copy(payment)

    async def find(self, tenant_id: str, payment_id: UUID) -> Payment | None:
        return self._first(payment_id=payment_id, tenant_id=tenant_id)

    async def find_by_code(self, tenant_id: str, code: str) -> Payment | None:
        return self._first(code=code, tenant_id=tenant_id)

    async def find_by_order(self, tenant_id: str, order_id: UUID) -> Payment | None:
        return self._first(order_id=order_id, tenant_id=tenant_id)

    async def page(
        self,
        tenant_id: str,
        after: UUID | None,
        limit: int,
        *,
        state: str | None,
        needs_attention: bool | None,
    ) -> Sequence[Payment]:
        return list(self.rows.values())[:limit]

    def _first(self, **known: object) -> Payment | None:
        for row in self.rows.values():
            if all(getattr(row, name) == value for name, value in known.items()):
                return copy(row)
        return None


def _there(found: Payment | None) -> Payment:
    if found is None:
        raise PaymentNotFound
    return found


@dataclass
class MemoryUnitOfWork:
    payments: MemoryPayments = field(default_factory=MemoryPayments)
    published: list[DomainEvent] = field(default_factory=list)

    def publish(self, *events: DomainEvent) -> None:
        self.published.extend(events)


@dataclass(frozen=True)
class Operation:
    """An `Operation` is money that the gateway moved."""

    order_id: UUID
    kind: str
    amount_cents: int


@dataclass
class MemoryGateway:
    """A `MemoryGateway` keeps books by key. Its `moods` are approve, decline, silent before and
    silent after, one for each call.

    `operations` is the money it moved, by key.
    """

    moods: list[str] = field(default_factory=list)
    results: dict[str, Approved | Declined] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)

    async def charge(
        self, key: str, *, order_id: UUID, amount_cents: int, method: str
    ) -> Approved | Declined:
        mood = self._mood()
        if mood == "decline":
            return self.results.setdefault(key, Declined("card_declined"))
        return self._approve(key, mood, Operation(order_id, "charge", amount_cents))

    async def refund(
        self, key: str, *, charge_reference: str, amount_cents: int
    ) -> Approved | Declined:
        mood = self._mood()
        charge = self.operations.get(charge_reference)
        if charge is None or charge.amount_cents != amount_cents:
            return Declined("no_such_charge")
        if mood == "decline" and key not in self.results:
            return Declined("refund_refused")
        return self._approve(key, mood, Operation(charge.order_id, "refund", amount_cents))

    def _approve(self, key: str, mood: str, operation: Operation) -> Approved | Declined:
        if mood == "silent_before":
            raise ConnectionError
        result = self.results.setdefault(key, Approved(key))
        if isinstance(result, Approved):
            self.operations[key] = operation
        if mood == "silent_after":
            raise TimeoutError
        return result

    def _mood(self) -> str:
        return self.moods.pop(0) if self.moods else "approve"

    def charge_of(self, payment_id: UUID) -> str | None:
        """Return the reference of what was charged for a payment, with whichever card."""
        keys = (key for key in self.operations if key.startswith(f"charge-{payment_id}"))
        return next(keys, None)

    def approved(self, kind: str) -> int:
        return sum(operation.kind == kind for operation in self.operations.values())
