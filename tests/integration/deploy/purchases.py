"""Lists a few purchases with consistent states, for the services' databases."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import NAMESPACE_OID, UUID, uuid5

PRICE = 5_000_000
TENANT = "default"

RESERVED = (
    "order.confirmed.v1",
    "credit.reserved.v1",
    "vehicle.reserved.v1",
    "payment.code_generated.v1",
)
COMPLETED = (*RESERVED, "payment.processed.v1", "vehicle.sold.v1", "order.completed.v1")
GIVEN_BACK = ("vehicle.released.v1", "credit.released.v1")


@dataclass(frozen=True)
class Purchase:
    """A `Purchase` has a state by service, or None where a service knows nothing of it."""

    order: str
    credit: str
    vehicle: str | None
    payment: str | None
    operations: Sequence[str]
    events: Sequence[str]
    payout: str | None = None


PURCHASES: Mapping[str, Purchase] = {
    "completed": Purchase("COMPLETED", "CONSUMED", "SOLD", "PROCESSED", ("charge",), COMPLETED),
    "closed": Purchase(
        "CLOSED",
        "CONSUMED",
        "SOLD",
        "PROCESSED",
        ("charge",),
        (*COMPLETED, "order.closed.v1", "payout.completed.v1"),
        payout="PAID",
    ),
    "payout_failed": Purchase(
        "CLOSED",
        "CONSUMED",
        "SOLD",
        "PROCESSED",
        ("charge",),
        (*COMPLETED, "order.closed.v1", "payout.failed.v1"),
        payout="FAILED",
    ),
    "refused": Purchase(
        "FAILED",
        "REFUSED",
        None,
        None,
        (),
        ("order.confirmed.v1", "credit.reservation_failed.v1", "order.failed.v1"),
    ),
    "declined": Purchase(
        "FAILED",
        "RELEASED",
        "RELEASED",
        "FAILED",
        (),
        (*RESERVED, "payment.failed.v1", *GIVEN_BACK, "order.failed.v1"),
    ),
    "cancelled": Purchase(
        "CANCELLED",
        "RELEASED",
        "RELEASED",
        "REFUNDED",
        ("charge", "refund"),
        (
            *COMPLETED,
            "order.cancellation_requested.v1",
            "payment.refunded.v1",
            *GIVEN_BACK,
            "order.cancelled.v1",
        ),
    ),
    "awaiting": Purchase("AWAITING_PAYMENT", "RESERVED", "RESERVED", "PENDING", (), RESERVED),
    "refund_failed": Purchase(
        "COMPENSATING",
        "CONSUMED",
        "SOLD",
        "REFUND_FAILED",
        ("charge",),
        (*COMPLETED, "order.cancellation_requested.v1", "payment.refund_failed.v1"),
    ),
}


def identifier(purchase: str, what: str = "order") -> UUID:
    """Return an id that is the same for the same words: of a purchase's order, customer or vehicle,
    or of its event.
    """
    return uuid5(NAMESPACE_OID, f"{what} of {purchase}")


Statements: TypeAlias = Iterator[tuple[str, *tuple[object, ...]]]
