"""Customers publishes these events. They contain no personal data: peers know customers by id."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from libs.kernel.events import Direction
from services.events import MarketEvent, PurchaseEvent


@dataclass(frozen=True, kw_only=True)
class CreditReserved(PurchaseEvent):
    type: ClassVar[str] = "credit.reserved.v1"

    customer_id: UUID
    vehicle_id: UUID
    total_cents: int


@dataclass(frozen=True, kw_only=True)
class CreditReservationFailed(PurchaseEvent):
    """`reason` is the value of a `Refusal`."""

    type: ClassVar[str] = "credit.reservation_failed.v1"
    direction = Direction.COMPENSATION

    customer_id: UUID
    reason: str


@dataclass(frozen=True, kw_only=True)
class CreditReleased(PurchaseEvent):
    """`customer_id` is null where the release came before any reservation."""

    type: ClassVar[str] = "credit.released.v1"
    direction = Direction.COMPENSATION

    customer_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class CustomerEvent(MarketEvent):
    """The event is a fact about one customer, outside any purchase."""

    customer_id: UUID

    @property
    def subject(self) -> UUID:
        return self.customer_id


@dataclass(frozen=True, kw_only=True)
class CustomerRegistered(CustomerEvent):
    type: ClassVar[str] = "customer.registered.v1"


@dataclass(frozen=True, kw_only=True)
class CustomerUpdated(CustomerEvent):
    """`changed` names the changed fields, never their values."""

    type: ClassVar[str] = "customer.updated.v1"

    changed: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CustomerErased(CustomerEvent):
    type: ClassVar[str] = "customer.erased.v1"
