"""The invariants of the choreography, proved over all databases of a running system.

`check` reads; it never writes. Purchases in which something happened within the last few seconds
are passed over: they may be on their way.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from deploy.local.deliveries import KNOWN_FOR, Deliveries, read_deliveries
from deploy.local.sellers import failed_payouts, sellers_are_paid
from deploy.local.snapshot import Records, Row, Snapshot, connected, take_snapshot
from libs.messaging.participant import Participant

HOLDS_CREDIT = frozenset({"RESERVED", "CONSUMED"})
HOLDS_VEHICLE = frozenset({"RESERVED", "SOLD"})
MONEY_OPEN = frozenset({"PENDING", "PROCESSING", "PROCESSED", "REFUNDING"})

SUCCEEDED = frozenset({"COMPLETED", "CLOSED"})
GIVEN_BACK = frozenset({"FAILED", "CANCELLED"})
MAY_HOLD_A_SALE = SUCCEEDED | {"COMPENSATING"}
"""What was sold and paid may still be held on the way back. Nobody may rest there."""
GATEWAY_MAY_DIFFER = frozenset({"PROCESSING", "REFUND_FAILED"})
"""A charge whose answer is awaited, a refund that failed: for now its books say another thing."""

ARRIVED = f"every event of the last {KNOWN_FOR.days} days reached every subscriber once"


@dataclass(frozen=True)
class Invariant:
    """`broken` holds one sentence for each offence, with the ids it is about."""

    rule: str
    broken: Sequence[str]


@dataclass(frozen=True)
class Report:
    """`notes` are matters that are allowed, but must not be hidden: refunds and payouts
    that failed, and what could not be checked.
    """

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
    """`databases` are asyncpg URLs by service name, of roles that may read every table.

    With `grace_seconds` 0 nothing is passed over: for systems that have come to rest.
    """
    async with connected(databases) as connections:
        deliveries = await read_deliveries(connections, participants, grace_seconds)
        now = await take_snapshot(connections, grace_seconds)
    return judge(now, deliveries)


def judge(now: Snapshot, deliveries: Deliveries) -> Report:
    """The rules alone: whoever has such a snapshot, of databases or of a simulation, may ask."""
    without_archive = _without_archive(now, deliveries)
    rules = {
        "credit adds up for every customer": _credit_adds_up(now),
        "a vehicle is held or sold once": _vehicle_is_held_once(now),
        "what failed or was cancelled holds nothing": _nothing_is_held(now),
        "money is kept once or given back once": _money_is_right(now),
        "every seller is paid once": sellers_are_paid(now),
        "every event was published": _events_left(deliveries),
        ARRIVED: _events_arrived(deliveries),
        "no purchase rests half-way": _nothing_rests(now),
        "every record belongs to a purchase of its tenant": _one_purchase_of_one_tenant(now),
    }
    invariants = [Invariant(rule, list(broken)) for rule, broken in rules.items()]
    if without_archive:  # to find nothing amiss in an archive that is not kept proves nothing
        invariants = [each for each in invariants if each.broken or each.rule != ARRIVED]
    return Report(
        purchases=len(now.orders),
        passed_over=len(now.young & now.orders.keys()),
        invariants=invariants,
        notes=[*_failed_refunds(now), *failed_payouts(now), *without_archive],
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
    yield from _held_of_nobody(now, now.credit, HOLDS_CREDIT, now.customers, "customer")
    yield from _every_success_has(now, now.credit, "credit", "CONSUMED")


def _vehicle_is_held_once(now: Snapshot) -> Iterator[str]:
    held: dict[str, Counter[UUID]] = {state: Counter() for state in HOLDS_VEHICLE}
    for reservation in now.reservations.values():
        if reservation["state"] in HOLDS_VEHICLE:
            held[reservation["state"]][reservation["vehicle_id"]] += 1
    for vehicle_id, count in (held["RESERVED"] + held["SOLD"]).items():
        if count > 1:
            yield f"vehicle {vehicle_id}: held by {count} purchases"
    for vehicle in now.vehicles:
        if vehicle["is_reserved"] != (vehicle["id"] in held["RESERVED"]):
            yield f"vehicle {vehicle['id']}: is_reserved differs from its records"
        if vehicle["id"] in held["SOLD"] and not vehicle["is_sold"]:
            yield f"vehicle {vehicle['id']}: sold by a purchase, but not marked as sold"
    for order_id, reservation in now.settled(now.reservations):
        state = now.state_of(order_id)
        if reservation["state"] == "SOLD" and state not in MAY_HOLD_A_SALE:
            yield f"order {order_id}: its vehicle is sold, but it is {state}"
    yield from _held_of_nobody(now, now.reservations, HOLDS_VEHICLE, now.vehicles, "vehicle")
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
    charged, refunded = (
        Counter(op["order_id"] for op in now.operations if op["kind"] == kind)
        for kind in ("charge", "refund")
    )
    by_hand = (order_id for order_id, payment in now.payments.items() if payment["settled"])
    refunded.update(by_hand)
    for order_id in {*now.payments, *charged, *refunded} - now.young:
        state, payment = now.state_of(order_id), now.payments.get(order_id)
        paid = None if payment is None else payment["state"]
        if paid == "PROCESSED" and state not in MAY_HOLD_A_SALE:
            yield f"order {order_id}: its payment is kept, but it is {state}"
        for what, times in (("charged", charged[order_id]), ("refunded", refunded[order_id])):
            if times > 1:
                yield f"order {order_id}: {what} {times} times"
        kept = charged[order_id] - refunded[order_id]
        if kept != (state in SUCCEEDED) and paid not in GATEWAY_MAY_DIFFER:
            yield f"order {order_id} is {state}, but {kept} of its charges are kept"
    yield from _amounts_are_right(now)
    yield from _every_success_has(now, now.payments, "payment", "PROCESSED")


def _amounts_are_right(now: Snapshot) -> Iterator[str]:
    for operation in now.operations:
        order = now.orders.get(operation["order_id"])
        if order is not None and operation["amount_cents"] != order["total_cents"]:
            yield f"order {operation['order_id']}: {operation['kind']} of another amount"


def _held_of_nobody(
    now: Snapshot, records: Records, states: frozenset[str], owners: Sequence[Row], owner: str
) -> Iterator[str]:
    known = {row["id"] for row in owners}
    for order_id, record in now.settled(records):
        if record["state"] in states and record[f"{owner}_id"] not in known:
            yield f"order {order_id}: there is no {owner} {record[f'{owner}_id']}"


def _every_success_has(now: Snapshot, records: Records, what: str, state: str) -> Iterator[str]:
    for order_id, order in now.settled(now.orders):
        record = records.get(order_id)
        found = "missing" if record is None else record["state"]
        if order["state"] in SUCCEEDED and found != state:
            yield f"order {order_id} is {order['state']}, its {what} is {found}"


def _events_left(deliveries: Deliveries) -> Iterator[str]:
    for event in deliveries.unpublished:
        yield f"{event['type']} {event['id']} of {event['subject']} was not published"


def _events_arrived(deliveries: Deliveries) -> Iterator[str]:
    for queue, events in deliveries.not_once.items():
        never = [str(event["id"]) for event in events if event["times"] == 0]
        again = [str(event["id"]) for event in events if event["times"] > 1]
        if never:
            yield f"{queue} never handled {len(never)} events: {', '.join(never[:5])}"
        if again:
            yield f"{queue} handled {len(again)} events more than once: {', '.join(again[:5])}"


def _nothing_rests(now: Snapshot) -> Iterator[str]:
    for order_id, order in now.settled(now.orders):
        state = order["state"]
        at_rest = (
            state in SUCCEEDED | GIVEN_BACK
            or (state == "AWAITING_PAYMENT" and not order["overdue"])
            or (state == "COMPENSATING" and _refund_failed(now, order_id))
        )
        if not at_rest:
            yield f"order {order_id} rests in {state}"


def _refund_failed(now: Snapshot, order_id: UUID) -> bool:
    payment = now.payments.get(order_id)
    return payment is not None and payment["state"] == "REFUND_FAILED"


def _one_purchase_of_one_tenant(now: Snapshot) -> Iterator[str]:
    for service, records in now.by_service.items():
        for order_id, record in now.settled(records):
            order = now.orders.get(order_id)
            if order is None:
                yield f"order {order_id}: known to {service}, but no purchase in orders"
            elif record["tenant_id"] != order["tenant_id"]:
                yield f"order {order_id}: another tenant in {service}"


def _failed_refunds(now: Snapshot) -> list[str]:
    return [
        f"refund of order {order_id} failed and is open"
        for order_id in now.payments
        if _refund_failed(now, order_id)
    ]


def _without_archive(now: Snapshot, deliveries: Deliveries) -> list[str]:
    return [
        f"{service} archives no events: whether its own reached everyone could not be checked"
        for service, records in now.by_service.items()
        if service not in deliveries.archived and any(now.settled(records))
    ]
