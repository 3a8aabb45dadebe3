"""Purchases for the tests: a fixed clock, one order, and a unit of work that keeps it in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from libs.kernel.events import DomainEvent
from services.orders.application.ports import Scope
from services.orders.domain.deadlines import Deadlines
from services.orders.domain.errors import PurchaseNotFound
from services.orders.domain.history import Fact
from services.orders.domain.purchase import Purchase
from services.orders.domain.states import ENDED, FORWARD, State

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DEADLINES = Deadlines()
ORDER, CUSTOMER, VEHICLE, SELLER, PAYMENT = (UUID(int=n) for n in range(1, 6))


def requested() -> Purchase:
    """A purchase just requested: order.confirmed is stated."""
    purchase = Purchase(
        order_id=ORDER,
        tenant_id="tenant-1",
        customer_id=CUSTOMER,
        vehicle_id=VEHICLE,
        total_cents=5_000_000,
        deadlines=DEADLINES,
    )
    purchase.request(NOW)
    return purchase


def in_state(state: State) -> Purchase:
    purchase = requested()
    purchase.state = state
    return purchase


def fact(event_type: str, sequence: int = 1) -> Fact:
    entity = event_type.split(".")[0]
    service = "customers" if entity == "credit" else f"{entity}s"
    return Fact(event_type, service, sequence, NOW)


def copy(purchase: Purchase) -> Purchase:
    return replace(purchase, history=list(purchase.history))


def may_follow(before: State, after: State) -> bool:
    """Whether a purchase may be found in the one some time after the other."""
    if before is after:
        return True
    if before in ENDED:
        return False
    if after in FORWARD:
        return before in FORWARD and FORWARD.index(after) > FORWARD.index(before)
    if after is State.CLOSED:
        return before is State.COMPLETED
    return after is not State.COMPENSATING or before in FORWARD


@dataclass
class InMemoryPurchases:
    """One purchase; what is saved is what the next lock returns."""

    purchase: Purchase

    async def get(self, scope: Scope, order_id: UUID) -> Purchase:
        if (scope.tenant_id, order_id) != (self.purchase.tenant_id, self.purchase.order_id):
            raise PurchaseNotFound("There is no such purchase.")
        return copy(self.purchase)

    async def lock(self, scope: Scope, order_id: UUID) -> Purchase:
        return await self.get(scope, order_id)

    async def save(self, purchase: Purchase) -> None:
        self.purchase = purchase

    async def page(
        self, scope: Scope, limit: int, after: UUID | None, state: State | None
    ) -> Sequence[Purchase]:
        raise NotImplementedError

    async def lock_due(self, limit: int) -> Sequence[Purchase]:
        return [copy(self.purchase)]

    async def count_open(self, tenant_id: str, customer_id: UUID) -> int:
        return 1


@dataclass
class InMemoryUnitOfWork:
    purchases: InMemoryPurchases
    published: list[DomainEvent] = field(default_factory=list)

    def publish(self, *events: DomainEvent) -> None:
        self.published.extend(events)
