"""Lists the pairs of events that no service can consume in this order, written by hand.
`IMPOSSIBLE` of a service's part lists more of them.

The runs must show every other pair, and none of these.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module

from deploy.services import SERVICES
from tests.simulation import parts
from tests.simulation.pairs import Pair


def _types(*names: str) -> frozenset[str]:
    return frozenset(f"{name}.v1" for name in names)


REFUND = _types("payment.refunded", "payment.refund_failed")
CHARGED = REFUND | _types("payment.charge_unanswered", "payment.processed")
BEGUN = CHARGED | _types("payment.code_generated", "payment.failed", "payment.expired")
SALE = _types("vehicle.sold", "vehicle.sale_failed")
PAYOUT = _types("payout.completed", "payout.unanswered", "payout.failed")
CLOSED = _types("order.closed")
SUCCESS = CLOSED | _types("order.completed")


@dataclass(frozen=True)
class Exclusion:
    """A purchase with an event of `one` has none of `other`, in any service."""

    why: str
    one: frozenset[str]
    other: frozenset[str]

    def excludes(self, pair: Pair) -> bool:
        types = (pair.earlier, pair.later)
        return any(a in self.one and b in self.other for a, b in (types, types[::-1]))


@dataclass(frozen=True)
class Cause:
    """A `Cause` says that `service` never consumes one of `effects` before `cause`, because its own
    reaction to the cause leads to them.
    """

    why: str
    service: str
    cause: str
    effects: frozenset[str]

    def excludes(self, pair: Pair) -> bool:
        own = (self.service, self.cause) == (pair.service, pair.later)
        return own and pair.earlier in self.effects


IMPOSSIBLE: Sequence[Exclusion | Cause] = (
    Exclusion(
        "customers refuses the credit once and for all: it neither holds nor releases any",
        _types("credit.reservation_failed"),
        _types("credit.reserved", "credit.released", "vehicle.reserved")
        | _types("vehicle.reservation_failed", "payment.code_generation_failed")
        | BEGUN
        | SALE
        | SUCCESS,
    ),
    Exclusion(
        "vehicles refuses the vehicle once and for all: it neither holds nor releases any",
        _types("vehicle.reservation_failed"),
        _types("vehicle.reserved", "vehicle.released", "payment.code_generation_failed")
        | BEGUN
        | SALE
        | SUCCESS,
    ),
    Exclusion(
        "a payment without a code never begins, and there is nothing to void",
        _types("payment.code_generation_failed"),
        _types("payment.voided") | BEGUN | SALE | SUCCESS,
    ),
    Exclusion(
        "a declined payment has ended; what was charged after all is refunded",
        _types("payment.failed"),
        _types("payment.expired", "payment.voided", "payment.processed") | SALE | SUCCESS,
    ),
    Exclusion(
        "an expired payment has ended",
        _types("payment.expired"),
        _types("payment.voided") | CHARGED | SALE | SUCCESS,
    ),
    Exclusion(
        "a void payment has ended",
        _types("payment.voided"),
        CHARGED | SALE | SUCCESS,
    ),
    Exclusion(
        "a vehicle is sold or not sold, and only a sale completes the purchase",
        _types("vehicle.sale_failed"),
        _types("vehicle.sold") | SUCCESS,
    ),
    Exclusion(
        "a purchase ends once, and only its buyer undoes a completed one: then it is cancelled",
        _types("order.failed"),
        _types("order.cancelled") | SUCCESS,
    ),
    Exclusion(
        "a closed order is never undone, and only a completed one closes",
        CLOSED,
        _types("order.cancellation_requested", "order.cancelled")
        | _types("vehicle.released", "credit.released")
        | REFUND,
    ),
    Cause(
        "customers must have reserved the credit",
        "customers",
        "order.confirmed.v1",
        _types("vehicle.reservation_failed", "order.completed", "order.closed"),
    ),
    Cause(
        "vehicles must have reserved the vehicle",
        "vehicles",
        "credit.reserved.v1",
        _types("payment.code_generation_failed") | BEGUN,
    ),
    Cause(
        "payments must have taken the money",
        "payments",
        "vehicle.reserved.v1",
        _types("vehicle.sale_failed"),
    ),
    Cause(
        "orders closes only what it knows to be sold",
        "orders",
        "vehicle.sold.v1",
        PAYOUT,
    ),
)


@dataclass(frozen=True)
class Consequence:
    """A `Consequence` says that a purchase has an event of `effects` only where it has `cause`.
    Whatever excludes the cause excludes the effects.
    """

    why: str
    cause: str
    effects: frozenset[str]

    def excludes(self, pair: Pair) -> bool:
        types = (pair.earlier, pair.later)
        earlier, later = (self.cause if each in self.effects else each for each in types)
        caused = Pair(pair.service, earlier, later)
        return any(each.excludes(caused) for each in IMPOSSIBLE if isinstance(each, Exclusion))


def _of_parts() -> Iterator[Consequence]:
    for spec in SERVICES:
        part = import_module(f"{parts.__name__}.{spec.name}")
        yield from getattr(part, "IMPOSSIBLE", ())


def why_never(pair: Pair) -> str | None:
    """Return why no service can consume this pair in this order, or None where one can."""
    known = (*IMPOSSIBLE, *_of_parts())
    return next((each.why for each in known if each.excludes(pair)), None)
