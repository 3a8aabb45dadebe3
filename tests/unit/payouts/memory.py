"""Implements the ports in memory. A test moves their time, by seconds."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from libs.kernel.events import DomainEvent
from services.payouts.domain.bank import Paid, Refused
from services.payouts.domain.errors import PayoutNotFound
from services.payouts.domain.payout import Payout, Status

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class MemoryPayouts:
    """Rows are stored as copies, so that a change that is not saved is lost as in a database."""

    now: datetime = START
    rows: dict[UUID, Payout] = field(default_factory=dict)
    due: dict[UUID, datetime] = field(default_factory=dict)
    new_id: Callable[[], UUID] = uuid4

    async def was_processed(self, tenant_id: str, external_id: str) -> bool:
        return self._find(tenant_id, external_id) is not None

    async def add(self, payout: Payout) -> bool:
        if self._find(payout.tenant_id, payout.external_id) is not None:
            return False
        await self.save(payout)
        return True

    async def get(self, tenant_id: str, external_id: str) -> Payout:
        found = self._find(tenant_id, external_id)
        if found is None:
            raise PayoutNotFound
        return copy(found)

    async def lock(self, payout_id: UUID) -> Payout:
        found = self.rows.get(payout_id)
        if found is None:
            raise PayoutNotFound
        return copy(found)

    async def lock_by_external_id(self, tenant_id: str, external_id: str) -> Payout:
        return await self.get(tenant_id, external_id)

    async def claim_calls(self, limit: int, lease: timedelta) -> Sequence[Payout]:
        due = [self.rows[key] for key, due in self.due.items() if due <= self.now][:limit]
        claimed = [replace(row, attempts=row.attempts + 1, claim=self.new_id()) for row in due]
        for row in claimed:
            self.due[row.payout_id] = self.now + lease
            self.rows[row.payout_id] = copy(row)
        return claimed

    async def save(self, payout: Payout) -> None:
        if payout.status is not Status.PENDING:
            self.due.pop(payout.payout_id, None)
        elif payout.call_in is not None:
            self.due[payout.payout_id] = self.now + payout.call_in
        stored = copy(payout)
        stored.call_in = None
        self.rows[payout.payout_id] = stored

    async def page(
        self,
        tenant_id: str,
        after: UUID | None,
        limit: int,
        *,
        seller_id: UUID | None,
        status: Status | None,
        needs_attention: bool | None,
    ) -> Sequence[Payout]:
        return list(self.rows.values())[:limit]

    def _find(self, tenant_id: str, external_id: str) -> Payout | None:
        for row in self.rows.values():
            if (row.tenant_id, row.external_id) == (tenant_id, external_id):
                return row
        return None


@dataclass
class MemoryUnitOfWork:
    payouts: MemoryPayouts = field(default_factory=MemoryPayouts)
    published: list[DomainEvent] = field(default_factory=list)

    def publish(self, *events: DomainEvent) -> None:
        self.published.extend(events)


@dataclass(frozen=True)
class Transfer:
    """A `Transfer` is money that the bank moved."""

    external_id: str
    seller_id: UUID | None
    amount_cents: int


@dataclass
class MemoryBank:
    """A `MemoryBank` answers the next calls by `mood`: pay, refuse, refuse for good, silent before
    it pays, silent after. `transfers` is the money it moved, by key.
    """

    mood: str = "pay"
    transfers: dict[str, Transfer] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)

    async def pay(
        self, key: str, *, external_id: str, seller_id: UUID | None, amount_cents: int
    ) -> Paid | Refused:
        self.keys.append(key)
        if self.mood == "silent before":
            raise ConnectionError
        if self.mood.startswith("refuse") and key not in self.transfers:
            return Refused("no", for_good=self.mood == "refuse for good")
        self.transfers.setdefault(key, Transfer(external_id, seller_id, amount_cents))
        if self.mood == "silent after":
            raise TimeoutError
        return Paid(key)
