"""Orders publishes these events. Their names on the wire are defined here and nowhere else."""

from dataclasses import dataclass
from uuid import UUID

from libs.kernel.events import Direction
from services.events import PurchaseEvent


@dataclass(frozen=True, kw_only=True)
class OrderConfirmed(PurchaseEvent):
    """A purchase begins: customers reserves `total_cents` of the customer's credit."""

    type = "order.confirmed.v1"

    customer_id: UUID
    vehicle_id: UUID
    total_cents: int


@dataclass(frozen=True, kw_only=True)
class OrderCancellationRequested(PurchaseEvent):
    """The buyer or the deadline ends the purchase: payments begins the compensation."""

    type = "order.cancellation_requested.v1"
    direction = Direction.COMPENSATION

    customer_id: UUID
    vehicle_id: UUID
    total_cents: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class OrderCompleted(PurchaseEvent):
    """The vehicle is sold and paid for."""

    type = "order.completed.v1"

    customer_id: UUID
    vehicle_id: UUID
    seller_id: UUID
    total_cents: int


@dataclass(frozen=True, kw_only=True)
class OrderFailed(PurchaseEvent):
    """The purchase ended without a sale. `reason` is null when nobody stated one."""

    type = "order.failed.v1"
    direction = Direction.COMPENSATION

    customer_id: UUID
    vehicle_id: UUID
    total_cents: int
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class OrderCancelled(PurchaseEvent):
    """The purchase ended because the buyer gave it up, possibly after `order.completed`."""

    type = "order.cancelled.v1"
    direction = Direction.COMPENSATION

    customer_id: UUID
    vehicle_id: UUID
    total_cents: int
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class OrderClosed(PurchaseEvent):
    """The vehicle was picked up. Customer, vehicle and seller are null without a purchase."""

    type = "order.closed.v1"

    customer_id: UUID | None
    vehicle_id: UUID | None
    seller_id: UUID | None
    total_cents: int
