"""Brings purchases to the stages at which they begin a run, with what is late at each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from services.payments.domain.payment import State as PaymentState
from services.payouts.domain.payout import Status
from tests.simulation.people import TENANTS, People
from tests.simulation.terms import PRICE_CENTS, TERMS
from tests.simulation.workers import BANK, GATEWAY, LEASE, Workers
from tests.simulation.world import World

LONG_ENOUGH = timedelta(seconds=10)


class Flaw(Enum):
    """A `Flaw` is what is wrong with a purchase from its beginning."""

    NO_CREDIT = "the buyer has no credit"
    NO_SUCH_PRICE = "the vehicle costs something else"
    NOT_PAYABLE = "the gateway does not take so much"
    TAKEN = "the vehicle is one that another purchase wants"
    SILENCE = "the gateway and the bank leave every call unanswered, until they ask for a person"


def start_purchase(people: People, flaw: Flaw | None) -> None:
    """Let a new customer buy a new vehicle, or the one offered last."""
    if flaw is not Flaw.TAKEN:
        price = PRICE_CENTS * 2 if flaw is Flaw.NOT_PAYABLE else PRICE_CENTS
        people.offer(TENANTS[len(people.vehicles) % 2], seller=1, price_cents=price)
    vehicle = people.vehicles[-1]
    price = vehicle.details.price_cents
    people.register(vehicle.tenant_id, 0 if flaw is Flaw.NO_CREDIT else 2 * price)
    total = price + 1 if flaw is Flaw.NO_SUCH_PRICE else price
    people.purchase(people.customers[-1], vehicle, total)


@dataclass(frozen=True)
class Beginning:
    """A `Beginning` is about the purchase bought last. `mood` is the gateway's or the bank's at
    stages that leave it open, and `flaw` is what is wrong with the purchase.
    """

    world: World
    people: People
    workers: Workers
    mood: str
    flaw: Flaw | None

    def finish(self, mood: str) -> None:
        if self.flaw is Flaw.SILENCE:
            self.leave_unanswered()
        self.workers.finish(mood)

    def leave_unanswered(self) -> None:
        for _ in range(max(GATEWAY.silent_tries, BANK.silent_tries)):
            self.workers.finish("lost")
            self.workers.advance(self.world.now + LONG_ENOUGH)

    def delay(self, queues: Iterable[str]) -> None:
        """Make the events of this purchase late in these queues."""
        order_id = str(self.people.purchases()[-1].id)
        self.world.late |= {(queue, order_id) for queue in queues}


Act = Callable[[Beginning], None]


def settle(it: Beginning) -> None:
    """Publish and consume everything that is not stalled or late."""
    while it.world.work_off():
        pass


def pay(it: Beginning) -> None:
    for payment in it.people.payments(PaymentState.PENDING)[-1:]:
        it.people.pay(payment)


def approved(it: Beginning) -> None:
    it.finish("yes")


def declined(it: Beginning) -> None:
    """Decline every card that may be tried."""
    it.finish("no")
    order_id = it.people.purchases()[-1].id
    while [each for each in it.people.payments(PaymentState.PENDING) if each.order_id == order_id]:
        pay(it)
        it.finish("no")


def answered(it: Beginning) -> None:
    it.finish(it.mood)


def expire(it: Beginning) -> None:
    it.workers.advance(it.world.now + TERMS.lifetime)
    it.workers.expire_codes()


def withdraw(it: Beginning) -> None:
    bought = it.people.purchases()[-1].vehicle_id
    for vehicle in it.people.vehicles:
        if vehicle.id == bought:
            it.people.withdraw(vehicle)


def cancel(it: Beginning) -> None:
    it.people.cancel(it.people.purchases()[-1])


def close(it: Beginning) -> None:
    it.people.close(it.people.purchases()[-1])


def refused(it: Beginning) -> None:
    """Refuse every refund until a person is asked."""
    for _ in range(GATEWAY.refund_tries):
        it.finish("no")
        it.workers.advance(it.world.now + LONG_ENOUGH)


def overtaken(it: Beginning) -> None:
    """Answer a call with a no that is recorded only after the yes to the next call."""
    it.workers.claim()
    for claim in list(it.workers.claims):
        it.workers.call(claim, "never")
    on_its_way = list(it.workers.answers)
    it.workers.answers.clear()
    it.workers.advance(it.world.now + LEASE)
    it.finish("yes")
    it.workers.answers += on_its_way


def late_no(it: Beginning) -> None:
    """Charge the next card. A second no to the card before is recorded before that answer."""
    it.workers.claim()
    for claim in list(it.workers.claims):
        it.workers.call(claim, "no")
    on_its_way = list(it.workers.answers)
    it.workers.answers.clear()
    it.workers.advance(it.world.now + LEASE)
    it.finish("no")
    pay(it)
    it.workers.claim()
    for claim in list(it.workers.claims):
        it.workers.call(claim, "yes")
    it.workers.answers[:0] = on_its_way
    for answer in list(it.workers.answers):
        it.workers.record(answer)


def charged_after_all(it: Beginning) -> None:
    """Make a call so slow that the gateway charges after a person has recorded that it did not. The
    person found no charge in the gateway's books, and no later call was answered. If a flaw has
    ended this purchase before, the payments of others stay untouched.
    """
    it.workers.claim()
    slow = list(it.workers.claims)
    it.workers.advance(it.world.now + LEASE)
    it.leave_unanswered()
    for payment in it.people.payments(PaymentState.PROCESSING):
        if payment.order_id == it.people.purchases()[-1].id:
            it.people.settle_charge(payment, reference=None)
    for claim in slow:
        it.workers.call(claim, "yes")
    for answer in list(it.workers.answers):
        it.workers.record(answer)


def unpayable(it: Beginning) -> None:
    it.finish("never")


def retry(it: Beginning) -> None:
    for payout in it.people.payouts(Status.FAILED)[-1:]:
        it.people.retry_payout(payout)


def late(queue: str) -> Act:
    return lambda it: it.delay([queue])


PAID = (settle, pay, approved)
SOLD = (*PAID, settle)
UNSOLD = (settle, pay, withdraw, approved)
GIVEN_UP = (cancel, settle, approved, settle)

STAGES: Mapping[str, Sequence[Act]] = {
    "requested": (),
    "to be paid": (settle,),
    "expired": (settle, expire),
    "being paid": (settle, pay, answered),
    "declined": (settle, pay, declined),
    "declined once": (settle, pay, late_no, settle),
    "paid": PAID,
    "not sold": UNSOLD,
    "not sold, the refund fails": (*UNSOLD, settle, refused),
    "sold": SOLD,
    "closed": (*SOLD, close, settle, answered),
    "closed, the payout fails": (*SOLD, close, settle, unpayable, settle, retry, approved),
    "closed, a no is overtaken": (*SOLD, close, settle, overtaken),
    "charged after all": (settle, pay, charged_after_all, settle, approved),
    "charged after all, the refund fails": (settle, pay, charged_after_all, settle, refused),
    "charged after all, refunded before it failed": (
        late("vehicles.on.payment.failed.v1"),
        settle,
        pay,
        charged_after_all,
        approved,
        settle,
    ),
    "cancelled": (cancel, settle),
    "cancelled to be paid": (settle, *GIVEN_UP),
    "cancelled after it expired": (settle, expire, *GIVEN_UP),
    "cancelled after it was declined": (settle, pay, declined, *GIVEN_UP),
    "cancelled when paid": (*PAID, *GIVEN_UP),
    "cancelled when not sold": (*UNSOLD, *GIVEN_UP),
    "cancelled when sold": (*SOLD, *GIVEN_UP),
    "cancelled when sold, the refund fails": (*SOLD, cancel, settle, refused),
    "cancelled when sold, a no is overtaken": (*SOLD, cancel, settle, overtaken),
    "cancelled before its confirmation": (late("customers.on.order.confirmed.v1"), *GIVEN_UP),
    "cancelled before its credit": (late("vehicles.on.credit.reserved.v1"), settle, *GIVEN_UP),
    "cancelled before its vehicle": (late("payments.on.vehicle.reserved.v1"), settle, *GIVEN_UP),
    "refunded before its payment": (late("vehicles.on.payment.processed.v1"), *PAID, *GIVEN_UP),
    "cancelled before its failed sale": (
        late("payments.on.vehicle.sale_failed.v1"),
        *UNSOLD,
        settle,
        *GIVEN_UP,
    ),
    "overdue before its sale": (late("orders.on.vehicle.sold.v1"), *SOLD),
    "released before its sale": (late("orders.on.vehicle.sold.v1"), *SOLD, *GIVEN_UP),
    "refund fails before its sale": (
        late("orders.on.vehicle.sold.v1"),
        *SOLD,
        cancel,
        settle,
        refused,
    ),
    "released before its completion": (late("customers.on.order.completed.v1"), *SOLD, *GIVEN_UP),
    "closed before its completion": (
        late("customers.on.order.completed.v1"),
        *SOLD,
        close,
        settle,
        approved,
    ),
}


def begin(stage: str, it: Beginning) -> None:
    """Bring the purchase to this stage. A flaw or a late event may keep it from getting there."""
    for act in STAGES[stage]:
        act(it)
