"""Reduces peers to the table of the choreography, around the real purchase and its reactions.

A world is one purchase somewhere between its request and its end: the record of each service and
the events not yet delivered. `moves` lists everything that may happen next, in any order.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from libs.kernel.events import DomainEvent
from libs.messaging.envelope import Received
from services.orders.domain.purchase import Purchase
from services.orders.domain.states import FORWARD, State
from services.orders.infrastructure.consumers import reactions
from tests.unit.orders.purchases import (
    NOW,
    ORDER,
    SELLER,
    MemoryUnitOfWork,
    copy,
    requested,
)

REACTIONS = reactions(clock=lambda: NOW).by_event
PRODUCER = {
    "order": "orders",
    "credit": "customers",
    "vehicle": "vehicles",
    "payment": "payments",
    "payout": "payouts",
}
RELEASES_VEHICLE = {
    f"payment.{end}"
    for end in ("code_generation_failed", "failed", "expired", "voided", "refunded")
}
RELEASES_CREDIT = {"vehicle.released", "vehicle.reservation_failed"}
HEARD_BY_PEERS = {
    "customers": {"order.confirmed", "order.completed", *RELEASES_CREDIT},
    "vehicles": {"credit.reserved", "payment.processed", *RELEASES_VEHICLE},
    "payments": {"vehicle.reserved", "order.cancellation_requested", "vehicle.sale_failed"},
    "payouts": {"order.closed"},
}

Peer = tuple[str | None, int]
"""State and sequence of a peer's record; None: no record."""

Message = tuple[str, str, int]
"""The consumer, the event's type without version, and its sequence."""

Key = tuple[object, ...]


class World(NamedTuple):
    """`own` is what `key_of` returns for the purchase."""

    purchase: Purchase
    own: Key
    customers: Peer = (None, 0)
    vehicles: Peer = (None, 0)
    payments: Peer = (None, 0)
    payouts: Peer = (None, 0)
    remembered: bool = False
    in_flight: frozenset[Message] = frozenset()

    @property
    def key(self) -> Key:
        """Return a key. Two worlds with the same key have the same future."""
        money = (self.payments, self.remembered, self.payouts)
        return self.own, self.customers, self.vehicles, money, self.in_flight


def key_of(purchase: Purchase) -> Key:
    """Return all that decides what the purchase does next. The order of its history does not."""
    consumed = frozenset((each.type, each.sequence) for each in purchase.history)
    return purchase.state, purchase.cancelled_by_buyer, purchase.reason, consumed


def beginning() -> World:
    purchase = requested()
    sent = frozenset({("customers", "order.confirmed", 1)})
    return World(purchase, key_of(purchase), in_flight=sent)


def moves(world: World) -> Iterator[tuple[str, World]]:
    """Yield everything that may happen next: a delivery, the buyer, the gateway, a timer."""
    for message in world.in_flight:
        to, event, sequence = message
        rest = world._replace(in_flight=world.in_flight - {message})
        if to == "orders":
            yield f"orders consumes {event}", _orders(rest, event, sequence)
        else:
            for after in getattr(_Peers, to)(rest, event):
                yield f"{to} consumes {event}", after
    yield from _gateway_and_buyer(world)
    yield from _bank(world)
    yield from _orders_own(world)


def redelivered(world: World, event: str, sequence: int) -> World:
    """Deliver the same event once more, which must change nothing."""
    return _orders(world, event, sequence)


def _tell(world: World, service: str, sequence: int, event: str) -> World:
    hearers = [peer for peer, events in HEARD_BY_PEERS.items() if event in events]
    if f"{event}.v1" in REACTIONS:
        hearers.append("orders")
    assert service == PRODUCER[event.split(".")[0]]
    sent = {(to, event, sequence) for to in hearers}
    return world._replace(in_flight=world.in_flight | sent)


def _step(world: World, service: str, state: str, *events: str) -> World:
    """Let the peer's record enter `state` and publish `events`."""
    sequence = getattr(world, service)[1]
    for event in events:
        sequence += 1
        world = _tell(world, service, sequence, event)
    record: dict[str, Any] = {service: (state, sequence)}
    return world._replace(**record)


class _Peers:
    @staticmethod
    def customers(world: World, event: str) -> Iterator[World]:
        state = world.customers[0]
        if event == "order.confirmed" and state is None:
            yield _step(world, "customers", "RESERVED", "credit.reserved")
            yield _step(world, "customers", "REFUSED", "credit.reservation_failed")
        elif event == "order.completed" and state == "RESERVED":
            yield _step(world, "customers", "CONSUMED")
        elif event in RELEASES_CREDIT and state in (None, "RESERVED", "CONSUMED"):
            yield _step(world, "customers", "RELEASED", "credit.released")
        else:
            yield world

    @staticmethod
    def vehicles(world: World, event: str) -> Iterator[World]:
        state = world.vehicles[0]
        if event == "credit.reserved" and state is None:
            yield _step(world, "vehicles", "RESERVED", "vehicle.reserved")
            yield _step(world, "vehicles", "REFUSED", "vehicle.reservation_failed")
        elif event == "payment.processed" and state == "RESERVED":
            yield _step(world, "vehicles", "SOLD", "vehicle.sold")
            yield _step(world, "vehicles", "SALE_FAILED", "vehicle.sale_failed")
        elif event in RELEASES_VEHICLE and state in (None, "RESERVED", "SOLD", "SALE_FAILED"):
            yield _step(world, "vehicles", "RELEASED", "vehicle.released")
        else:
            yield world

    @staticmethod
    def payments(world: World, event: str) -> Iterator[World]:
        state = world.payments[0]
        cancelled = event == "order.cancellation_requested"
        if event == "vehicle.reserved" and state is None:
            yield _step(world, "payments", "PENDING", "payment.code_generated")
            yield _step(world, "payments", "FAILED", "payment.code_generation_failed")
        elif cancelled and state in (None, "PENDING"):
            yield _step(world, "payments", "VOIDED", "payment.voided")
        elif cancelled and state == "PROCESSING":
            yield world._replace(remembered=True)
        elif event != "vehicle.reserved" and state == "PROCESSED":
            yield _step(world, "payments", "REFUNDING")
        else:
            yield world

    @staticmethod
    def payouts(world: World, event: str) -> Iterator[World]:
        yield _step(world, "payouts", "PENDING") if world.payouts[0] is None else world


def _gateway_and_buyer(world: World) -> Iterator[tuple[str, World]]:
    match world.payments[0]:
        case "PENDING":
            yield "the buyer pays", _step(world, "payments", "PROCESSING")
            yield "the code expires", _step(world, "payments", "EXPIRED", "payment.expired")
        case "PROCESSING":
            after = "REFUNDING" if world.remembered else "PROCESSED"
            yield "the gateway approves", _step(world, "payments", after, "payment.processed")
            yield "the gateway declines", _step(world, "payments", "FAILED", "payment.failed")
        case "REFUNDING":
            yield (
                "the refund fails",
                _step(world, "payments", "REFUND_FAILED", "payment.refund_failed"),
            )
            yield "the refund succeeds", _step(world, "payments", "REFUNDED", "payment.refunded")
        case "REFUND_FAILED":
            yield "the refund succeeds", _step(world, "payments", "REFUNDED", "payment.refunded")


def _bank(world: World) -> Iterator[tuple[str, World]]:
    state = world.payouts[0]
    if state in ("PENDING", "FAILED"):
        yield "the bank pays", _step(world, "payouts", "PAID", "payout.completed")
    if state == "PENDING":
        yield "the bank refuses", _step(world, "payouts", "FAILED", "payout.failed")


def _orders_own(world: World) -> Iterator[tuple[str, World]]:
    state = world.purchase.state
    if state in (*FORWARD, State.COMPENSATING) and not world.purchase.cancelled_by_buyer:
        yield "the buyer cancels", _act(world, "cancel")
    if state in FORWARD and state is not State.COMPLETED:
        yield "the deadline passes", _act(world, "run_out_of_time")
    if state is State.COMPLETED:
        yield "the buyer picks the vehicle up", _act(world, "close")


def _act(world: World, action: str) -> World:
    purchase = copy(world.purchase)
    events = getattr(purchase, action)(NOW)
    world = world._replace(purchase=purchase, own=key_of(purchase))
    for event in events:
        world = _tell(world, "orders", event.sequence, event.type.removesuffix(".v1"))
    return world


def _orders(world: World, event: str, sequence: int) -> World:
    key = (world.own, event, sequence)
    if key not in _ANSWERS:
        purchase, events = _react(world.purchase, event, sequence)
        _ANSWERS[key] = purchase, key_of(purchase), events
    purchase, own, events = _ANSWERS[key]
    world = world._replace(purchase=purchase, own=own)
    for published in events:
        world = _tell(world, "orders", published.sequence, published.type.removesuffix(".v1"))
    return world


_ANSWERS: dict[Key, tuple[Purchase, Key, list[DomainEvent]]] = {}
"""The result of the reaction for each purchase and event, which many worlds share."""


def _react(purchase: Purchase, event: str, sequence: int) -> tuple[Purchase, list[DomainEvent]]:
    """Run the service's real reaction, over a purchase kept in memory."""
    reaction = REACTIONS[f"{event}.v1"]
    uow: Any = MemoryUnitOfWork.of(purchase)
    data = {
        "order_id": ORDER,
        "reason": event,
        "seller_id": SELLER,
        "code": "MV-1",
        "expires_at": NOW,
    }
    received = Received[Any](
        id=UUID(int=sequence),
        source=PRODUCER[event.split(".")[0]],
        type=f"{event}.v1",
        subject=str(ORDER),
        time=NOW,
        tenantid="tenant-1",
        sequence=sequence,
        data=reaction.data_model.model_validate(data),
    )
    _run(reaction.handler(uow, received))
    return uow.purchase, uow.published


def _run(coroutine: Any) -> None:
    """Run a coroutine to its end, because nothing in memory ever waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("a reaction waited for something")
