"""Checks the invariants over a world in memory.

The rules for each purchase at rest are those of `./taskw verify`. The other rules need everything
that was ever published, which only the simulation keeps.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from deploy.checker.purchase import GIVEN_BACK, SUCCEEDED, Purchase
from deploy.checker.records.customers import CREDIT
from deploy.checker.records.vehicles import HOLDS_VEHICLE, VEHICLE
from deploy.checker.rules import RULES
from services.customers.domain.customer import Customer
from services.orders.domain.states import State
from services.vehicles.domain.vehicle import Vehicle
from tests.simulation.money import Money
from tests.simulation.workers import Workers
from tests.simulation.world import World
from tests.unit.orders.purchases import may_follow

MAY_HAPPEN_AGAIN = frozenset(
    {"customer.updated.v1", "vehicle.updated.v1", "payment.refund_failed.v1"}
    | {"payout.failed.v1", "payout.unanswered.v1"}
)
"""Every other type is published at most once for each subject."""

States = Mapping[UUID, State]


class InvariantBroken(AssertionError):
    """`InvariantBroken` says that a rule does not hold. `rule` is its name."""

    def __init__(self, rule: str, sentences: Sequence[str]) -> None:
        super().__init__(f"{rule}: " + "; ".join(sentences[:5]))
        self.rule = rule


def require(rules: Mapping[str, Iterable[str]]) -> None:
    """Raise InvariantBroken for the first rule that has a sentence against it."""
    for rule, sentences in rules.items():
        if broken := list(sentences):
            raise InvariantBroken(rule, broken)


def hold_at_rest(world: World, workers: Workers) -> None:
    """Judge a world in which everything is consumed and nothing is due. Raises InvariantBroken."""
    hold_always(world, workers)
    require(
        {
            "every event was published": unpublished(world),
            "every event reached every subscriber once": not_handled_once(world),
            "what is forged is given up, and nothing else": given_up(world),
        }
    )
    at_rest = list(world.held(workers.money))
    require({rule: _offences(at_rest, offences) for rule, offences in RULES.items()})
    require(
        {
            "events are numbered without a gap": numbers(world),
            "what happens once is published once": repeats(world),
            "orders knows what needs a person": attention(world),
            "customers knows which orders are closed": closings(world),
            "the figures agree with the orders": figures(world),
            "every timeline tells all there is to tell": timelines(world),
        }
    )


def hold_always(world: World, workers: Workers) -> None:
    """Judge what must hold at every moment: each database agrees with itself, and money moves once.
    Raises InvariantBroken.
    """
    require(
        {
            CREDIT: customers_that_do_not_add_up(world),
            VEHICLE: vehicles_that_do_not_add_up(world),
            "money moves once": moves_once(workers.money),
        }
    )


def followed(before: States, world: World) -> States:
    """Return the purchases' states. Raises InvariantBroken if one cannot follow the one before."""
    now = {order_id: purchase.state for order_id, purchase in world.purchases().items()}
    wrong = (
        f"order {order_id} went from {before[order_id]} to {state}"
        for order_id, state in now.items()
        if order_id in before and not may_follow(before[order_id], state)
    )
    require({"a purchase only rises, turns round and ends": wrong})
    return now


def _offences(at_rest: Sequence[Purchase], offences: Any) -> Iterator[str]:
    for purchase in at_rest:
        yield from offences(purchase)


def customers_that_do_not_add_up(world: World) -> Iterator[str]:
    recorded = Counter[tuple[UUID, str]]()
    for record in world.rows("customers", "reservations").values():
        recorded[record.customer_id, str(record.state)] += record.price_cents
    customers: Iterable[Customer] = world.rows("customers", "customers").values()
    for customer in customers:
        credit = customer.credit
        if credit.available_cents < 0:
            yield f"customer {customer.id}: available is below zero"
        if credit.reserved_cents != recorded[customer.id, "RESERVED"]:
            yield f"customer {customer.id}: RESERVED is not the sum of its records"
        if credit.consumed_cents != recorded[customer.id, "CONSUMED"]:
            yield f"customer {customer.id}: CONSUMED is not the sum of its records"


def vehicles_that_do_not_add_up(world: World) -> Iterator[str]:
    held: dict[UUID, list[str]] = defaultdict(list)
    for record in world.rows("vehicles", "reservations").values():
        if record.state in HOLDS_VEHICLE:
            held[record.vehicle_id].append(str(record.state))
    for listing in world.rows("vehicles", "vehicles").values():
        vehicle: Vehicle = listing.vehicle
        states = held[vehicle.id]
        if len(states) > 1:
            yield f"vehicle {vehicle.id}: held by {len(states)} purchases"
        if vehicle.is_reserved != ("RESERVED" in states):
            yield f"vehicle {vehicle.id}: is_reserved differs from its records"
        if "SOLD" in states and not vehicle.is_sold:
            yield f"vehicle {vehicle.id}: sold by a purchase, but not marked as sold"
        if vehicle.is_sold and vehicle.withdrawn:
            yield f"vehicle {vehicle.id}: sold, though it was withdrawn"


def moves_once(moved: Money) -> Iterator[str]:
    for order_id, amounts in moved.charges.items():
        if len(amounts) > 1:
            yield f"order {order_id}: charged {len(amounts)} times"
    for order_id, amounts in moved.refunds.items():
        if len(amounts) > 1:
            yield f"order {order_id}: refunded {len(amounts)} times"
        if order_id not in moved.charges:
            yield f"order {order_id}: refunded, and never charged"
    for order_id, transfers in moved.transfers.items():
        if len(transfers) > 1:
            yield f"order {order_id}: its seller was paid {len(transfers)} times"


def given_up(world: World) -> Iterator[str]:
    dead, forged = world.broker.dead, world.broker.forged
    for queue, message_id in dead | forged:
        times = dead[queue, message_id]  # once more where an acknowledgement was lost
        if bool(times) != bool(forged[queue, message_id]):
            yield f"{queue}: {message_id} was given up {times} times"


def unpublished(world: World) -> Iterator[str]:
    for service in world.services:
        for row in world.outbox(service):
            yield f"{row.type} {row.id} of {row.subject}"


def not_handled_once(world: World) -> Iterator[str]:
    for service in world.services:
        for row in world.archive(service):
            for queue in world.broker.bindings.get((service, row.type), ()):
                times = world.times_handled(queue, row.id)
                if times != 1:
                    yield f"{queue} handled {row.id} {times} times"


def numbers(world: World) -> Iterator[str]:
    """Yield wrong numbers: each service numbers the events of a subject from 1, for consumers."""
    for service in world.services:
        published: dict[str, list[int]] = defaultdict(list)
        for row in world.archive(service):
            published[row.subject].append(int(world.read(row)["sequence"]))
        for subject, found in published.items():
            if sorted(found) != list(range(1, len(found) + 1)):
                yield f"{service} numbered the events of {subject} {sorted(found)}"


def repeats(world: World) -> Iterator[str]:
    for service in world.services:
        times = Counter((row.type, row.subject) for row in world.archive(service))
        for (event_type, subject), number in times.items():
            if number > 1 and event_type not in MAY_HAPPEN_AGAIN:
                yield f"{event_type} of {subject} was published {number} times"


def attention(world: World) -> Iterator[str]:
    payouts = {each.order_id: each for each in world.rows("payouts", "payouts").values()}
    for order_id, purchase in world.purchases().items():
        payment, payout = world.rows("payments", "payments").get(order_id), payouts.get(order_id)
        asked = any(each is not None and each.needs_attention for each in (payment, payout))
        if purchase.needs_attention != asked:
            yield f"order {order_id}: needs_attention is {purchase.needs_attention}"


def closings(world: World) -> Iterator[str]:
    """Yield orders that customers wrongly holds open or closed. Only closed ones permit erasure."""
    closed = world.rows("customers", "closed")
    for order_id, purchase in world.purchases().items():
        if (order_id in closed) != (purchase.state == "CLOSED"):
            yield f"order {order_id} is {purchase.state}, customers has another"


def figures(world: World) -> Iterator[str]:
    sales, known = world.rows("kpis", "purchases"), world.rows("kpis", "vehicles")
    for order_id, purchase in world.purchases().items():
        sale = sales.get(order_id, {})
        sold = bool(sale.get("sold_at")) and not sale.get("outcome")
        if sold != (purchase.state in SUCCEEDED):
            yield f"order {order_id} is {purchase.state}, kpis has {sale}"
        if purchase.state in GIVEN_BACK and sale.get("outcome") != purchase.state.lower():
            yield f"order {order_id} is {purchase.state}, kpis has {sale.get('outcome')}"
    for listing in world.rows("vehicles", "vehicles").values():
        vehicle, figure = listing.vehicle, known.get(listing.vehicle.id, {})
        if figure.get("price_cents") != vehicle.details.price_cents:
            yield f"vehicle {vehicle.id}: kpis has another price"
        if vehicle.sequence != figure.get("sequence", 0) + bool(figure.get("withdrawn_at")):
            yield f"vehicle {vehicle.id}: kpis has not the newest"
    for payout in world.rows("payouts", "payouts").values():
        figure = world.rows("kpis", "payouts").get(payout.order_id or payout.payout_id, {})
        if figure.get("status") != payout.status.lower():
            yield f"payout {payout.payout_id} is {payout.status}, kpis has {figure.get('status')}"


def timelines(world: World) -> Iterator[str]:
    published: dict[UUID, list[UUID]] = defaultdict(list)
    for service in world.services:
        for row in world.archive(service):
            published[UUID(row.subject)].append(row.id)
    told = world.rows("portal", "timelines")
    for subject, ids in published.items():
        if sorted(ids) != sorted(fact.event_id for fact in told.get(subject, ())):
            yield f"{subject}: {len(ids)} events, {len(told.get(subject, ()))} in its timeline"
    for order_id, purchase in world.purchases().items():
        if told_state(world, order_id) != purchase.state:
            yield f"order {order_id} is {purchase.state}, in its timeline another"


def told_state(world: World, order_id: UUID) -> str:
    head = world.rows("portal", "heads").get(order_id)
    return "missing" if head is None else str(head["state"])
