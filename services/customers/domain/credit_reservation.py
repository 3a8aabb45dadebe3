"""Each purchase has one record in this service: the credit that it holds or has held."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from services.customers.domain.events import (
    CreditReleased,
    CreditReservationFailed,
    CreditReserved,
)
from services.events import MarketEvent


class ReservationState(StrEnum):
    RESERVED = "RESERVED"
    REFUSED = "REFUSED"
    RELEASED = "RELEASED"
    CONSUMED = "CONSUMED"


class Refusal(StrEnum):
    """One of these is the `reason` of credit.reservation_failed."""

    CREDIT_TOO_LOW = "credit_too_low"
    UNKNOWN_CUSTOMER = "unknown_customer"
    CUSTOMER_ERASED = "customer_erased"


@dataclass
class CreditReservation:
    """A new record is RESERVED or REFUSED. Its first event says which."""

    order_id: UUID
    tenant_id: str
    customer_id: UUID | None
    price_cents: int
    state: ReservationState = ReservationState.RESERVED
    sequence: int = 1

    @classmethod
    def tombstone(cls, order_id: UUID, tenant_id: str) -> "CreditReservation":
        """Return the record of a release that finds none. A late confirmation then does nothing."""
        return cls(order_id, tenant_id, None, 0, ReservationState.RELEASED)

    @property
    def holds_credit(self) -> bool:
        return self.state in (ReservationState.RESERVED, ReservationState.CONSUMED)

    def reserved(self, customer_id: UUID, vehicle_id: UUID) -> list[MarketEvent]:
        return [
            CreditReserved(
                tenant_id=self.tenant_id,
                sequence=self.sequence,
                order_id=self.order_id,
                customer_id=customer_id,
                vehicle_id=vehicle_id,
                total_cents=self.price_cents,
            )
        ]

    def refuse(self, customer_id: UUID, reason: Refusal) -> list[MarketEvent]:
        self.state = ReservationState.REFUSED
        return [
            CreditReservationFailed(
                tenant_id=self.tenant_id,
                sequence=self.sequence,
                order_id=self.order_id,
                customer_id=customer_id,
                reason=reason,
            )
        ]

    def release(self) -> list[MarketEvent]:
        self.state = ReservationState.RELEASED
        self.sequence += 1
        return self.released()

    def released(self) -> list[MarketEvent]:
        return [
            CreditReleased(
                tenant_id=self.tenant_id,
                sequence=self.sequence,
                order_id=self.order_id,
                customer_id=self.customer_id,
            )
        ]
