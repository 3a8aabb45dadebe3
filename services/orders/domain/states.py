"""The status of an order, which the client sets, and the separate state of its purchase."""

from enum import StrEnum


class Status(StrEnum):
    """What the client has done with the order."""

    DRAFT = "draft"
    CONFIRMED = "confirmed"
    CLOSED = "closed"


class State(StrEnum):
    """How far the purchase has come, as orders knows it."""

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
"""The states on the way forward, in order. A purchase only rises through them."""

ENDED = frozenset({State.CLOSED, State.FAILED, State.CANCELLED})
"""The final states."""

OPEN = tuple(state for state in State if state not in ENDED and state is not State.COMPLETED)
"""The states in which a purchase may hold credit and a vehicle that is not paid."""
