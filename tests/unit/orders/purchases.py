"""Makes purchases: a fixed clock, one order, and a unit of work that keeps it in memory."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from libs.kernel.events import DomainEvent
from services.orders.domain.deadlines import Deadlines
from services.orders.domain.history import Fact
from services.orders.domain.order import Order
from services.orders.domain.purchase import Purchase
from services.orders.domain.states import ENDED, FORWARD, State
from tests.unit.orders.memory import MemoryPurchases

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DEADLINES = Deadlines()
ORDER, CUSTOMER, VEHICLE, SELLER, PAYMENT = (UUID(int=n) for n in range(1, 6))


def requested() -> Purchase:
    """Return a purchase just requested: order.confirmed is published."""
    purchase = Purchase(
        order_id=ORDER,
        tenant_id="tenant-1",
        customer_id=CUSTOMER,
        vehicle_id=VEHICLE,
        price_cents=5_000_000,
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
    """Return whether a purchase in state `before` may be found in state `after` some time later."""
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
class MemoryUnitOfWork:
    """A `MemoryUnitOfWork` works on one purchase."""

    purchases: MemoryPurchases
    published: list[DomainEvent] = field(default_factory=list)

    @classmethod
    def of(cls, purchase: Purchase) -> "MemoryUnitOfWork":
        order = Order(
            id=ORDER,
            tenant_id="tenant-1",
            customer_id=CUSTOMER,
            vehicle_id=VEHICLE,
            created_at=NOW,
            purchase=purchase,
        )
        return cls(MemoryPurchases({ORDER: order}, NOW))

    @property
    def purchase(self) -> Purchase:
        (order,) = self.purchases.rows.values()
        assert order.purchase is not None
        return order.purchase

    def publish(self, *events: DomainEvent) -> None:
        self.published.extend(events)
