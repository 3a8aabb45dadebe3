"""The invariants of the choreography, proved over all databases of a running system.

`check` reads; it never writes. Purchases in which something happened within the last few seconds
are passed over: they may be on their way.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from deploy.local.snapshot import HOLDS_CREDIT, HOLDS_VEHICLE, Records, Snapshot, take_snapshot
from libs.messaging.participant import Participant

SUCCEEDED = frozenset({"COMPLETED", "CLOSED"})
GIVEN_BACK = frozenset({"FAILED", "CANCELLED"})
MONEY_OPEN = frozenset({"PENDING", "PROCESSING", "PROCESSED", "REFUNDING"})


@dataclass(frozen=True)
class Invariant:
    """`broken` holds one sentence for each offence, with the ids it is about."""

    rule: str
    broken: Sequence[str]


@dataclass(frozen=True)
class Report:
    """`notes` are open matters that are allowed, but must not be hidden: refunds that failed."""

    purchases: int
    passed_over: int
    invariants: Sequence[Invariant]
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def hold(self) -> bool:
        return not any(invariant.broken for invariant in self.invariants)


async def check(
    databases: Mapping[str, str], participants: Sequence[Participant], *, grace_seconds: float = 5.0
) -> Report:
    """`databases` are asyncpg URLs by service name, of roles that may read every table."""
    snapshot = await take_snapshot(databases, grace_seconds)
    rules: Sequence[tuple[str, Callable[[], Iterator[str]]]] = (
        ("credit adds up for every customer", lambda: _credit_adds_up(snapshot)),
        ("a vehicle is held or sold once", lambda: _vehicle_is_held_once(snapshot)),
        ("what failed or was cancelled holds nothing", lambda: _nothing_is_held(snapshot)),
        ("money is kept once or given back once", lambda: _money_is_right(snapshot)),
        ("every event reached every subscriber", lambda: _events_arrived(snapshot, participants)),
        ("no purchase rests half-way", lambda: _nothing_rests(snapshot)),
        ("a purchase has one tenant everywhere", lambda: _one_tenant(snapshot)),
    )
    return Report(
        purchases=len(snapshot.orders),
        passed_over=len(snapshot.young),
        invariants=[Invariant(rule, list(broken())) for rule, broken in rules],
        notes=[
            f"refund of order {order_id} failed and is open"
            for order_id, payment in snapshot.payments.items()
            if payment["state"] == "REFUND_FAILED"
        ],
    )


def _credit_adds_up(now: Snapshot) -> Iterator[str]:
    for customer in now.customers:
        parts = {state: customer[f"{state.lower()}_cents"] for state in ("RESERVED", "CONSUMED")}
        if customer["available_cents"] < 0:
            yield f"customer {customer['id']}: available is below zero"
        if customer["available_cents"] + sum(parts.values()) != customer["limit_cents"]:
            yield f"customer {customer['id']}: available, reserved and consumed are not the limit"
        for state, cents in parts.items():
            if cents != customer[f"{state.lower()}_records"]:
                yield f"customer {customer['id']}: {state} is not the sum of its records"
    yield from _every_success_has(now, now.credit, "credit", "CONSUMED")


def _vehicle_is_held_once(now: Snapshot) -> Iterator[str]:
    holding = [r for r in now.reservations.values() if r["state"] in HOLDS_VEHICLE]
    for vehicle_id, count in Counter(r["vehicle_id"] for r in holding).items():
        if count > 1:
            yield f"vehicle {vehicle_id}: held by {count} purchases"
    by_state = {
        state: {r["vehicle_id"] for r in holding if r["state"] == state} for state in HOLDS_VEHICLE
    }
    for vehicle in now.vehicles:
        if vehicle["is_reserved"] != (vehicle["id"] in by_state["RESERVED"]):
            yield f"vehicle {vehicle['id']}: is_reserved differs from its records"
        if vehicle["id"] in by_state["SOLD"] and not vehicle["is_sold"]:
            yield f"vehicle {vehicle['id']}: sold by a purchase, but not marked as sold"
    for order_id, reservation in now.settled(now.reservations):
        state = now.state_of(order_id)
        if reservation["state"] == "SOLD" and state not in SUCCEEDED:
            yield f"order {order_id}: its vehicle is sold, but it is {state}"
    yield from _every_success_has(now, now.reservations, "vehicle", "SOLD")


def _nothing_is_held(now: Snapshot) -> Iterator[str]:
    for order_id, order in now.settled(now.orders):
        if order["state"] not in GIVEN_BACK:
            continue
        held = (
            (now.credit, "credit", HOLDS_CREDIT),
            (now.reservations, "vehicle", HOLDS_VEHICLE),
            (now.payments, "payment", MONEY_OPEN),
        )
        for records, what, states in held:
            record = records.get(order_id)
            if record is not None and record["state"] in states:
                yield f"order {order_id} is {order['state']}, its {what} is {record['state']}"


def _money_is_right(now: Snapshot) -> Iterator[str]:
    charged = Counter(op["order_id"] for op in now.operations if op["kind"] == "charge")
    refunds = {op["order_id"]: op for op in now.operations if op["kind"] == "refund"}
    refunded = Counter(op["order_id"] for op in now.operations if op["kind"] == "refund")
    for order_id, payment in now.settled(now.payments):
        state = now.state_of(order_id)
        if payment["state"] == "PROCESSED" and state not in SUCCEEDED:
            yield f"order {order_id}: its payment is kept, but it is {state}"
        if charged[order_id] > 1 or refunded[order_id] > 1:
            yield (
                f"order {order_id}: charged {charged[order_id]} times, "
                f"refunded {refunded[order_id]} times"
            )
        excused = payment["state"] == "REFUND_FAILED" or payment["settled_by"] is not None
        kept = charged[order_id] - refunded[order_id]
        if kept != (state in SUCCEEDED) and not excused:
            yield f"order {order_id} is {state}, but {kept} of its charges are kept"
        refund = refunds.get(order_id)
        if refund is not None and refund["amount_cents"] != payment["amount_cents"]:
            yield f"order {order_id}: refunded another amount than was paid"
    yield from _every_success_has(now, now.payments, "payment", "PROCESSED")


def _every_success_has(now: Snapshot, records: Records, what: str, state: str) -> Iterator[str]:
    for order_id, order in now.settled(now.orders):
        record = records.get(order_id)
        found = "missing" if record is None else record["state"]
        if order["state"] in SUCCEEDED and found != state:
            yield f"order {order_id} is {order['state']}, its {what} is {found}"


def _events_arrived(now: Snapshot, participants: Sequence[Participant]) -> Iterator[str]:
    for event in now.unpublished:
        yield f"{event['type']} {event['id']} of {event['subject']} was not published"
    for participant in participants:
        for reaction in participant.reacts_to:
            missing = now.published[reaction.event_type] - now.handled[reaction.queue]
            if missing:
                shown = ", ".join(str(identifier) for identifier in sorted(missing)[:5])
                yield f"{reaction.queue} never handled {len(missing)} events: {shown}"


def _nothing_rests(now: Snapshot) -> Iterator[str]:
    for order_id, order in now.settled(now.orders):
        if order["state"] in SUCCEEDED | GIVEN_BACK:
            continue
        if order["state"] == "AWAITING_PAYMENT" and not order["overdue"]:
            continue
        payment = now.payments.get(order_id)
        if payment is None or payment["state"] != "REFUND_FAILED":
            yield f"order {order_id} rests in {order['state']}"


def _one_tenant(now: Snapshot) -> Iterator[str]:
    for order_id, order in now.orders.items():
        for records in (now.credit, now.reservations, now.payments):
            record = records.get(order_id)
            if record is not None and record["tenant_id"] != order["tenant_id"]:
                yield f"order {order_id}: another tenant in {record['source']}"
