"""Defines all steps that may happen to the system. Hypothesis chooses the next one."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from libs.messaging.saga.reactions import Step
from services.orders.domain.states import State as PurchaseState
from services.payments.domain.payment import Payment
from services.payments.domain.payment import State as PaymentState
from services.payouts.domain.payout import Payout, Status
from tests.simulation.database import Fault
from tests.simulation.pairs import Seen, pairs_in
from tests.simulation.people import TENANTS, People
from tests.simulation.rules import InvariantBroken, States, followed, hold_always, hold_at_rest
from tests.simulation.stages import STAGES, Beginning, Flaw, begin, start_purchase
from tests.simulation.steps import Taken, first_step, step
from tests.simulation.terms import PRICE_CENTS
from tests.simulation.workers import Workers
from tests.simulation.world import START, VIEWS, RelayFault, World

Thing = TypeVar("Thing")

MAY_BE_TRIED = (PaymentState.PENDING, PaymentState.EXPIRED)
"""Buyers pay with an expired code too, and are refused."""

PICK = st.integers(0, 997)
SOME = st.integers(1, 4)
FAULTS = st.sampled_from([Fault.NONE, Fault.NONE, *Fault])
RELAY_FAULTS = st.sampled_from([RelayFault.NONE, RelayFault.NONE, *RelayFault])
MOODS = st.sampled_from(["yes", "yes", "no", "never", "lost", "late"])
CENTS = st.sampled_from([0, 0, 0, 0, 1])
MAY_BE_LATE = [
    each.queue
    for each in World().reactions
    if each.step is not Step.FORWARD and each.service not in VIEWS
]
"""A purchase goes forward without the events of these queues."""
Begun = tuple[str, Flaw | None, str, list[str]]
SECONDS = st.sampled_from([1, 5, 40, 400, 901, 3_601])
DAYS_AT_MOST = timedelta(days=9)
"""A message older than the inbox window becomes a dead letter, so no run lasts longer."""
ROUNDS = 2_000
"""The most rounds that a healed system may need to come to rest."""


class Story:
    """A `Story` is the result of all runs of a seed. `digest` covers every published event, and
    `seen` counts the orders in which events were consumed. `broken` is the first error, `broken_at`
    the number of steps before it, and `broken_by` are the steps of its run.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.digest = hashlib.sha256()
        self.seen: Seen = Counter()
        self.broken: BaseException | None = None
        self.broken_at: int | None = None
        self.broken_by: list[Taken] = []


class Simulation(RuleBasedStateMachine):
    """A `Simulation` is one run. At its end the system is healed, comes to rest and is judged."""

    story: ClassVar[Story] = Story()

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.workers = Workers(self.world)
        self.people = People(self.world)
        self.states: States = {}
        self.taken: list[Taken] = []
        self.broken = False
        self.patient = False

    @first_step(
        limits=st.lists(st.sampled_from([5, 2, 1]), min_size=2, max_size=4),
        offers=SOME,
        order=st.integers(0, 2**32),
        patient=st.booleans(),
        begun=st.lists(
            st.tuples(
                st.sampled_from([*sorted(STAGES), *["being paid"] * 4]),
                st.sampled_from([*[None] * 12, *Flaw]),
                MOODS,
                st.just([]) | st.lists(st.sampled_from(MAY_BE_LATE), max_size=12, unique=True),
            ),
            min_size=1,
            max_size=4,
        ),
    )
    def open_the_market(
        self, limits: list[int], offers: int, order: int, *, patient: bool, begun: list[Begun]
    ) -> None:
        """Begin with purchases that are far advanced, because such moments are many steps away.
        Each has its stage, its flaw, the mood of its gateway and bank, and the queues in which its
        events are late.
        """
        self.world.broker.shuffle(order)
        self.patient = patient
        for number, vehicles in enumerate(limits):
            self.people.register(TENANTS[number % 2], vehicles * PRICE_CENTS)
        for number in range(offers):
            self.people.offer(TENANTS[number % 2], seller=1 + number % 3)
        self._come_and_go()
        for stage, flaw, mood, late in begun:
            start_purchase(self.people, flaw)
            it = Beginning(self.world, self.people, self.workers, mood, flaw)
            it.delay(late)
            begin(stage, it)

    # Steps of people.

    @step(customer=PICK, vehicle=PICK, cents=CENTS, fault=FAULTS)
    def buy(self, customer: int, vehicle: int, cents: int, fault: Fault) -> None:
        self.people.fault = fault
        self._buy(customer, vehicle, cents)

    @step(lambda self: self.people.purchases(), purchase=PICK, fault=FAULTS)
    def cancel(self, purchase: int, fault: Fault) -> None:
        self.people.fault = fault
        self.people.cancel(_pick(self.people.purchases(), purchase))

    @step(lambda self: self.people.purchases(PurchaseState.COMPLETED), purchase=PICK, fault=FAULTS)
    def close(self, purchase: int, fault: Fault) -> None:
        self.people.fault = fault
        self.people.close(_pick(self.people.purchases(PurchaseState.COMPLETED), purchase))

    @step(lambda self: self.people.payments(*MAY_BE_TRIED), payment=PICK, fault=FAULTS)
    def pay(self, payment: int, fault: Fault) -> None:
        self.people.fault = fault
        self.people.pay(_pick(self.people.payments(*MAY_BE_TRIED), payment))

    @step(lambda self: self.people.payments(), payment=PICK, order=PICK)
    def ask_the_impossible(self, payment: int, order: int) -> None:
        """Pay what is paid, expired or void, and close what is not completed."""
        self.people.pay(_pick(self.people.payments(), payment))
        self.people.close(_pick(self.people.orders, order))

    @step(
        number=PICK,
        request=st.sampled_from(["colour", "price", "offer", "offer again", "withdraw", "sell"]),
    )
    def trade(self, number: int, request: str) -> None:
        vehicle = _pick(self.people.vehicles, number)
        price = vehicle.details.price_cents
        match request:
            case "colour":
                self.people.edit(vehicle, {"colour": f"azul {number}"})
            case "price":
                self.people.edit(vehicle, {"price_cents": price + 1 + number % 3})
            case "offer":
                self.people.offer(TENANTS[number % 2], seller=1 + number % 3)
            case "offer again":
                self.people.offer_again(vehicle)
            case "withdraw":
                self.people.withdraw(vehicle)
            case "sell":
                self.people.mark_as_sold(vehicle)

    @step(
        number=PICK,
        other=PICK,
        request=st.sampled_from(["draft", "bare draft", "confirm", "payout", "limit", "erase"]),
    )
    def administer(self, number: int, other: int, request: str) -> None:
        customer = _pick(self.people.customers, number)
        vehicle = _pick(self.people.vehicles, other)
        drafts = [each for each in self.people.orders if each.price_cents is None]
        match request:
            case "draft":
                self.people.draft(customer.tenant_id, (customer, vehicle))
            case "bare draft":
                self.people.draft(customer.tenant_id, None)
            case "confirm" if drafts:
                self.people.confirm(_pick(drafts, other))
            case "payout":
                self.people.ask_for_payout(customer.tenant_id, f"by-hand-{other % 4}")
            case "limit":
                self.people.change_limit(customer, other % 4 * PRICE_CENTS)
            case "erase" if other % 3 == 0:
                self.people.erase(customer)

    @step(
        lambda self: self.people.payments(PaymentState.REFUND_FAILED),
        payment=PICK,
        by_hand=st.booleans(),
    )
    def mend_refund(self, payment: int, *, by_hand: bool) -> None:
        failed = _pick(self.people.payments(PaymentState.REFUND_FAILED), payment)
        if by_hand:
            done = f"refund-{failed.payment_id}" in self.workers.gateway.operations
            self.people.settle_refund(failed, gave_back=done)
        else:
            self.people.retry_refund(failed)

    @step(lambda self: self.people.payouts(Status.FAILED), payout=PICK)
    def mend_payout(self, payout: int) -> None:
        self.people.retry_payout(_pick(self.people.payouts(Status.FAILED), payout))

    @step(lambda self: self._unanswered(), record=PICK)
    def mend_silence(self, record: int) -> None:
        """Record what the gateway or the bank says to a person who asks by another way."""
        match _pick(self._unanswered(), record):
            case Payment() as payment:
                reference = self.workers.gateway.charge_of(payment.payment_id)
                self.people.settle_charge(payment, reference=reference)
            case Payout() as payout:
                paid = f"payout-{payout.payout_id}" in self.workers.bank.transfers
                self.people.settle_payout(payout, paid=paid)

    def _unanswered(self) -> list[Payment | Payout]:
        payments: list[Payment | Payout] = [*self.people.payments(PaymentState.PROCESSING)]
        waiting = [*payments, *self.people.payouts(Status.PENDING)]
        return [each for each in waiting if each.needs_attention]

    # Steps of the network, the processes and the broker.

    @step(
        lambda self: self._with_outbox(), service=PICK, first=PICK, count=SOME, fault=RELAY_FAULTS
    )
    def relay(self, service: int, first: int, count: int, fault: RelayFault) -> None:
        name = _pick(self._with_outbox(), service)
        self.world.relay(name, _several(self.world.outbox(name), first, count), fault)

    @step(lambda self: self._with_outbox())
    def relay_everything(self) -> None:
        for name in self._with_outbox():
            self.world.relay(name, self.world.outbox(name), RelayFault.NONE)

    @step(service=st.sampled_from(["orders", "customers", "vehicles", "payments"]), event=PICK)
    def relay_again(self, service: str, event: int) -> None:
        """Publish an event again, as a relay does that does not know that it has published it."""
        if published := self.world.archive(service):
            self.world.relay_again(service, _pick(published, event))

    @step(service=st.sampled_from(["orders", "vehicles", "payments"]), event=PICK, queue=PICK)
    def forge(self, service: str, event: int, queue: int) -> None:
        """Send a message with other content under the id of an event that is handled."""
        if published := self.world.archive(service):
            row = _pick(published, event)
            if queues := self.world.queues_that_handled(service, row):
                self.world.broker.forge(_pick(queues, queue), row)

    @step(lambda self: self._waiting(), queue=PICK, first=PICK, count=SOME, fault=FAULTS)
    def deliver(self, queue: int, first: int, count: int, fault: Fault) -> None:
        name = _pick(self._waiting(), queue)
        messages = _several(self.world.broker.queues[name], first, count)
        self.world.deliver(name, messages, fault)

    @step(lambda self: self._waiting(), queue=PICK, message=PICK)
    def deliver_and_lose_the_acknowledgement(self, queue: int, message: int) -> None:
        name = _pick(self._waiting(), queue)
        delivered = _pick(self.world.broker.queues[name], message)
        delivered.loses_acknowledgement = True
        self.world.deliver(name, [delivered])

    @step(lambda self: self._waiting(views=True), queue=PICK, first=PICK, fault=FAULTS)
    def update_a_view(self, queue: int, first: int, fault: Fault) -> None:
        """Let a view consume what waits in one of its queues."""
        name = _pick(self._waiting(views=True), queue)
        self.world.deliver(name, _several(self.world.broker.queues[name], first, 100), fault)

    @step(queue=PICK)
    def stall(self, queue: int) -> None:
        """Stop consuming from this queue until the queue goes on."""
        self._stall(queue)

    @step(lambda self: self.world.stalled)
    def go_on(self) -> None:
        self.world.stalled.clear()

    @step(times=st.integers(1, 3), first=PICK)
    def work_off(self, times: int, first: int) -> None:
        for _ in range(times):
            self.world.work_off(first)

    # Steps of time, and of the workers that wait for it.

    @step(lambda self: self.world.now < START + DAYS_AT_MOST, seconds=SECONDS)
    def time_passes(self, seconds: int) -> None:
        self.workers.advance(self.world.now + timedelta(seconds=seconds))

    @step(fault=FAULTS)
    def timers_ring(self, fault: Fault) -> None:
        self.workers.expire_codes(fault)
        self.workers.give_up_overdue(fault)

    @step(fault=FAULTS)
    def workers_claim(self, fault: Fault) -> None:
        self.workers.claim(fault)

    @step(lambda self: self.workers.claims, claim=PICK, mood=MOODS)
    def worker_calls(self, claim: int, mood: str) -> None:
        self.workers.call(_pick(self.workers.claims, claim), mood)

    @step(lambda self: self.workers.answers, answer=PICK, fault=FAULTS)
    def worker_records(self, answer: int, fault: Fault) -> None:
        self.workers.record(_pick(self.workers.answers, answer), fault)

    @step(mood=MOODS)
    def workers_finish(self, mood: str) -> None:
        self.workers.finish(mood)

    @invariant()
    def holds_always(self) -> None:
        self.story.steps += 1
        with self._broken_for_good():
            hold_always(self.world, self.workers)
            self.states = followed(self.states, self.world)

    def teardown(self) -> None:
        try:
            if not self.broken:
                with self._broken_for_good():
                    self._heal()
                    hold_at_rest(self.world, self.workers)
                self._remember()
        finally:
            self.workers.close()

    def _heal(self) -> None:
        """Let time pass without faults until nothing is due. Stalled queues and late messages go on
        when everything else has come to rest; with `patient`, only when nothing else is due either.
        """
        self.people.fault = Fault.NONE
        for _ in range(ROUNDS):
            self.states = followed(self.states, self.world)
            if self.world.work_off():
                continue
            due = self.workers.next_due()
            rests = due is None and not self.workers.answers
            if (self.world.stalled or self.world.late) and (rests or not self.patient):
                self.world.stalled.clear()
                self.world.late.clear()
                continue
            if rests:
                self.world.update_views()
                return
            self.workers.advance(max(self.world.now, due or self.world.now))
            self.workers.expire_codes()
            self.workers.give_up_overdue()
            self.workers.finish()
        raise InvariantBroken("a healed system comes to rest", ["it is still busy"])

    @contextmanager
    def _broken_for_good(self) -> Iterator[None]:
        """Do not heal or judge a run again that has broken a rule."""
        try:
            yield
        except BaseException as error:
            self.broken = True
            if self.story.broken is None:
                self.story.broken = error
                self.story.broken_at, self.story.broken_by = self.story.steps, self.taken
            raise

    def _remember(self) -> None:
        for service in self.world.services:
            for row in self.world.archive(service):
                self.story.digest.update(row.body)
        self.story.seen.update(pairs_in(self.world))

    def _with_outbox(self) -> list[str]:
        return [name for name in self.world.services if self.world.outbox(name)]

    def _waiting(self, *, views: bool = False) -> list[str]:
        queues = self.world.broker.waiting()
        return [queue for queue in queues if queue.startswith(VIEWS) is views]

    def _stall(self, queue: int) -> None:
        """Stall the queue of a step of the saga half of the time: its order matters most."""
        steps = [each for each in self.world.reactions if each.step is not Step.VIEW]
        most = [each for each in self.world.reactions if each.service != "portal"]
        self.world.stalled.add(_pick(steps if queue % 2 else most, queue // 2).queue)

    def _come_and_go(self) -> None:
        """Add a customer and a vehicle of which every event has been published."""
        self.people.register(TENANTS[0], 0)
        self.people.change_limit(self.people.customers[-1], PRICE_CENTS)
        self.people.erase(self.people.customers[-1])
        self.people.offer(TENANTS[0], seller=1)
        self.people.edit(self.people.vehicles[-1], {"colour": "azul"})
        self.people.withdraw(self.people.vehicles[-1])

    def _buy(self, customer: int, vehicle: int, cents: int) -> None:
        """Buy a vehicle that is for sale; with a wrong price, any vehicle."""
        buyer = _pick(self.people.customers, customer)
        offers = [
            each
            for each in self.people.vehicles
            if each.tenant_id == buyer.tenant_id and each.is_for_sale and not cents
        ]
        wanted = _pick(offers or self.people.vehicles, vehicle)
        self.people.purchase(buyer, wanted, wanted.details.price_cents + cents)


def _pick(things: Sequence[Thing], number: int) -> Thing:
    return things[number % len(things)]


def _several(things: Sequence[Thing], first: int, count: int) -> list[Thing]:
    """Return `count` of the things from number `first` on. The first one follows the last."""
    start = first % len(things)
    return [*things[start:], *things[:start]][:count]
