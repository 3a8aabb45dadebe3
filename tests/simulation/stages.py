"""How far a purchase has come before anything else happens."""

from datetime import timedelta

from services.orders.domain.states import State as PurchaseState
from services.payments.domain.payment import State as PaymentState
from tests.simulation.people import People
from tests.simulation.workers import GATEWAY, Workers
from tests.simulation.world import World

STAGES = (
    "requested",
    "to be paid",
    "being paid",
    "withdrawn",
    "paid",
    "sold",
    "closed",
    "refund fails",
)
LONG_ENOUGH = timedelta(seconds=10)


def begin(stage: str, world: World, people: People, workers: Workers, mood: str) -> None:
    """Bring the newest purchase as far as that, if it gets there: its last events are still on
    their way. `mood` is that of the gateway or the bank where the purchase stops at one of them.
    """
    far = STAGES.index(stage)
    if far < STAGES.index("to be paid"):
        return
    settle(world)
    if far < STAGES.index("being paid"):
        return
    for payment in people.payments(PaymentState.PENDING)[-1:]:
        people.pay(payment)
    if stage == "withdrawn":
        _withdraw_its_vehicle(people)
    workers.finish(mood if stage == "being paid" else "yes")
    if far < STAGES.index("sold"):
        return
    settle(world)
    for order in people.purchases(PurchaseState.COMPLETED)[-1:]:
        if stage == "closed":
            people.close(order)
            settle(world)
            workers.finish(mood)
        elif stage == "refund fails":
            people.cancel(order)
            settle(world)
            _refuse_refunds(workers)


def settle(world: World) -> None:
    while world.bustle():
        pass


def _withdraw_its_vehicle(people: People) -> None:
    bought = people.purchases()[-1].vehicle_id
    for vehicle in people.vehicles:
        if vehicle.id == bought:
            people.withdraw(vehicle)


def _refuse_refunds(workers: Workers) -> None:
    for _ in range(GATEWAY.refund_tries):
        workers.finish("no")
        workers.advance(workers.world.now + LONG_ENOUGH)
