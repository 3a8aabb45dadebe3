"""What the client did to an order, and where its purchase stands: two separate things."""

from enum import StrEnum


class Status(StrEnum):
    """What the client did to the order."""

    DRAFT = "draft"
    CONFIRMED = "confirmed"
    CLOSED = "closed"


class State(StrEnum):
    """Where the purchase stands, as far as orders has heard."""

    REQUESTED = "REQUESTED"
    CREDIT_RESERVED = "CREDIT_RESERVED"
    VEHICLE_RESERVED = "VEHICLE_RESERVED"
    AWAITING_PAYMENT = "AWAITING_PAYMENT"
    PAID = "PAID"
    COMPLETED = "COMPLETED"
    CLOSED = "CLOSED"
    COMPENSATING = "COMPENSATING"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


FORWARD = (
    State.REQUESTED,
    State.CREDIT_RESERVED,
    State.VEHICLE_RESERVED,
    State.AWAITING_PAYMENT,
    State.PAID,
    State.COMPLETED,
)
"""The way forward, in order: a purchase on it only rises."""

ENDED = frozenset({State.CLOSED, State.FAILED, State.CANCELLED})
"""Nothing leaves these states."""

OPEN = tuple(state for state in State if state not in ENDED and state is not State.COMPLETED)
"""States in which a purchase may still hold credit and a vehicle it has not paid for."""
