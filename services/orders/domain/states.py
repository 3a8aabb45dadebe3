"""The client sets the status of an order. Its purchase has a state of its own."""

from enum import StrEnum


class Status(StrEnum):
    """The status says what the client has done with the order."""

    DRAFT = "draft"
    CONFIRMED = "confirmed"
    CLOSED = "closed"


class State(StrEnum):
    """The state says how far the purchase has come, as orders knows it."""

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
"""These states lead to a sale, in this order. A purchase only rises through them."""

ENDED = frozenset({State.CLOSED, State.FAILED, State.CANCELLED})
"""A purchase never leaves one of these states."""

OPEN = tuple(state for state in State if state not in ENDED and state is not State.COMPLETED)
"""In these states a purchase may hold credit and a vehicle that is not paid."""
