"""Rules of the services broken on purpose, one at a time. The simulation must find each.

Each is a context manager: inside it the rule is broken, outside everything is as it was.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from uuid import UUID

from libs.messaging.inbox import Inbox, Verdict
from libs.messaging.intake import Intake
from libs.messaging.outbox import Outbox
from services.customers.application.release_credit import release_credit
from services.customers.domain.credit_reservation import CreditReservation, ReservationState
from services.customers.infrastructure import consumers as customers
from services.orders.domain.purchase import Purchase
from services.orders.domain.states import FORWARD, State
from services.payments.application import call_gateway
from services.payments.application.cancel_payment import cancel_payment
from services.payments.domain.gateway import Declined
from services.payments.domain.gateway import Unanswered as GatewaySilent
from services.payments.domain.payment import Payment
from services.payments.domain.payment import State as PaymentState
from services.payments.infrastructure import consumers as payments
from services.payouts.domain.bank import Refused
from services.payouts.domain.bank import Unanswered as BankSilent
from services.payouts.domain.payout import Payout
from services.vehicles.application.release_vehicle import release_vehicle
from services.vehicles.domain.reservation import Reservation
from services.vehicles.domain.reservation import State as VehicleState
from services.vehicles.domain.vehicle import Vehicle
from services.vehicles.infrastructure import consumers as vehicles
from tests.simulation import views
from tests.simulation.database import Connection
from tests.simulation.world import RelayFault, World
from tests.unit.customers.memory import ReservationsInMemory
from tests.unit.payments.memory import MemoryPayments
from tests.unit.payouts.memory import MemoryBank

Mutation = Callable[[], AbstractContextManager[object]]
MUTATIONS: dict[str, Mutation] = {}


def mutation(sentence: str) -> Callable[[Mutation], Mutation]:
    def register(found: Mutation) -> Mutation:
        MUTATIONS[sentence] = found
        return found

    return register


# What the messaging library promises.


@mutation("there is no inbox")
def no_inbox() -> AbstractContextManager[object]:
    async def admit(self: Inbox, _: Any, consumer: str, messages: list[Any]) -> list[Verdict]:
        return [Verdict.NEW for _ in messages]

    return patch.object(Inbox, "admit", admit)


@mutation("the inbox is written outside the transaction")
def inbox_outside() -> AbstractContextManager[object]:
    inside = Connection._admitted

    def outside(self: Connection, consumer: str, ids: Any, hashes: Any) -> list[UUID]:
        hashes = list(hashes)
        known = self.database.tables.setdefault("inbox", {})
        new = inside(self, consumer, ids, hashes)
        known.update({(consumer, each): self.table("inbox")[consumer, each] for each in new})
        return new

    return patch.object(Connection, "_admitted", outside)


@mutation("the outbox is written outside the transaction")
def outbox_outside() -> AbstractContextManager[object]:
    inside = Outbox.write

    async def outside(self: Outbox, connection: Any, rows: Any) -> None:
        connection.database.tables.setdefault("outbox", {}).update({row.id: row for row in rows})
        await inside(self, connection, rows)

    return patch.object(Outbox, "write", outside)


@mutation("a message is acknowledged before its commit")
def acknowledged_early() -> AbstractContextManager[object]:
    rightly = Intake._handle

    async def early(self: Intake[Any], deliveries: Any) -> Any:
        for delivery in deliveries:
            await self._acknowledge(delivery.message)
        return await rightly(self, deliveries)

    return patch.object(Intake, "_handle", early)


@mutation("an event is noted as published before it is")
def noted_early() -> AbstractContextManager[object]:
    rightly = World.relay

    def early(self: World, service: str, rows: Any, fault: RelayFault) -> None:
        rightly(self, service, rows, RelayFault.NONE)
        if fault is not RelayFault.NONE:
            for messages in self.broker.queues.values():
                messages[:] = [each for each in messages if each.message_id != str(rows[-1].id)]

    return patch.object(World, "relay", early)


# Credit.


@mutation("releasing credit leaves no tombstone")
def no_tombstone_of_credit() -> AbstractContextManager[object]:
    rightly = release_credit

    async def forgetful(uow: Any, *, tenant_id: str, order_id: UUID) -> None:
        if order_id in uow.reservations.rows:
            await rightly(uow, tenant_id=tenant_id, order_id=order_id)
        else:
            uow.publish(*CreditReservation.tombstone(order_id, tenant_id).released())

    return patch.object(customers, "release_credit", forgetful)


@mutation("credit is released without looking whether it was held")
def credit_released_unseen() -> AbstractContextManager[object]:
    always = property(lambda self: self.customer_id is not None)
    return patch.object(CreditReservation, "holds_credit", always)


@mutation("credit is given back twice")
def credit_given_back_twice() -> AbstractContextManager[object]:
    rightly = ReservationsInMemory.give_back

    async def twice(self: Any, reservation: CreditReservation, held_as: ReservationState) -> None:
        await rightly(self, reservation, held_as)
        await rightly(self, reservation, held_as)

    return patch.object(ReservationsInMemory, "give_back", twice)


@mutation("more credit is reserved than there is")
def credit_without_limit() -> AbstractContextManager[object]:
    rightly = ReservationsInMemory.add_holding_credit

    async def generous(self: Any, reservation: CreditReservation) -> Any:
        customer = self._customer(reservation)
        if customer is None or reservation.order_id in self.rows:
            return await rightly(self, reservation)
        endless = replace(customer.credit, limit_cents=10**12)
        self.customers[customer.id] = replace(customer, credit=endless)
        hold = await rightly(self, reservation)
        moved = replace(self.customers[customer.id].credit, limit_cents=customer.credit.limit_cents)
        self.customers[customer.id] = replace(customer, credit=moved)
        return hold

    return patch.object(ReservationsInMemory, "add_holding_credit", generous)


@mutation("a released vehicle does not release the credit")
def credit_release_forgotten() -> AbstractContextManager[object]:
    return patch.object(customers, "release_credit", _nothing)


@mutation("a completed order does not consume the credit")
def credit_not_consumed() -> AbstractContextManager[object]:
    return patch.object(customers, "consume_credit", _nothing)


# Vehicles.


@mutation("releasing a vehicle leaves no tombstone")
def no_tombstone_of_vehicle() -> AbstractContextManager[object]:
    rightly = release_vehicle

    async def forgetful(uow: Any, order_id: UUID, tenant_id: str, reason: str) -> None:
        if order_id in uow.reservations.by_order:
            await rightly(uow, order_id, tenant_id, reason)
        else:
            uow.publish(Reservation.tombstone(order_id, tenant_id).released(reason))

    return patch.object(vehicles, "release_vehicle", forgetful)


@mutation("a vehicle is let go by a purchase that does not hold it")
def released_without_check() -> AbstractContextManager[object]:
    rightly = Reservation.release

    def careless(self: Reservation, vehicle: Vehicle | None, reason: str, **how: Any) -> Any:
        if vehicle is not None:
            self.state = VehicleState.SALE_FAILED
            vehicle.let_go(listed_again=False)
        return rightly(self, vehicle, reason, **how)

    return patch.object(Reservation, "release", careless)


@mutation("a vehicle is reserved though another purchase has it")
def reserved_twice() -> AbstractContextManager[object]:
    on_market = property(lambda self: not self.withdrawn)
    return patch.object(Vehicle, "is_for_sale", on_market)


@mutation("a vehicle is reserved at any price")
def any_price() -> AbstractContextManager[object]:
    rightly = Reservation.decide

    def careless(self: Reservation, purchase: Any, vehicle: Vehicle | None) -> Any:
        if vehicle is not None:
            purchase = replace(purchase, total_cents=vehicle.details.price_cents)
        return rightly(self, purchase, vehicle)

    return patch.object(Reservation, "decide", careless)


@mutation("an expired payment does not release the vehicle")
def expiry_not_heard() -> AbstractContextManager[object]:
    rightly = release_vehicle

    async def deaf(uow: Any, order_id: UUID, tenant_id: str, reason: str) -> None:
        if reason != "payment_expired":
            await rightly(uow, order_id, tenant_id, reason)

    return patch.object(vehicles, "release_vehicle", deaf)


@mutation("a sale is kept when its payment goes back")
def sale_not_undone() -> AbstractContextManager[object]:
    rightly = Reservation.release

    def stubborn(self: Reservation, vehicle: Vehicle | None, reason: str, **how: Any) -> Any:
        return None if self.state == "SOLD" else rightly(self, vehicle, reason, **how)

    return patch.object(Reservation, "release", stubborn)


# Payments.


@mutation("a cancellation leaves no tombstone in payments")
def no_tombstone_of_payment() -> AbstractContextManager[object]:
    rightly = cancel_payment

    async def forgetful(uow: Any, *, tenant_id: str, order_id: UUID, payment_id: UUID) -> None:
        which: dict[str, Any] = {
            "tenant_id": tenant_id,
            "order_id": order_id,
            "payment_id": payment_id,
        }
        if order_id in uow.payments.rows:
            await rightly(uow, **which)
        else:
            uow.publish(Payment.cancelled_before_it_began(**which).begun())

    return patch.object(payments, "cancel_payment", forgetful)


@mutation("a tombstone is written for another tenant")
def tenant_forgotten() -> AbstractContextManager[object]:
    rightly = cancel_payment

    async def careless(uow: Any, *, tenant_id: str, order_id: UUID, payment_id: UUID) -> None:
        await rightly(uow, tenant_id="default", order_id=order_id, payment_id=payment_id)

    return patch.object(payments, "cancel_payment", careless)


@mutation("a failed sale is not refunded")
def refund_forgotten() -> AbstractContextManager[object]:
    return patch.object(payments, "refund_failed_sale", _nothing)


@mutation("a cancellation after the payment is not refunded")
def cancelled_and_kept() -> AbstractContextManager[object]:
    return _cancel_ignored(PaymentState.PROCESSED)


@mutation("a cancellation while the gateway is asked is not remembered")
def cancellation_not_remembered() -> AbstractContextManager[object]:
    return _cancel_ignored(PaymentState.PROCESSING)


@mutation("each try to charge has a key of its own")
def charged_twice() -> AbstractContextManager[object]:
    return _key_of_each_try(PaymentState.PROCESSING)


@mutation("each try to refund has a key of its own")
def refunded_twice() -> AbstractContextManager[object]:
    return _key_of_each_try(PaymentState.REFUNDING)


@mutation("the gateway's silence is taken for a no")
def silence_is_no() -> AbstractContextManager[object]:
    rightly = Payment.charge_answered

    def hasty(self: Payment, answer: Any, claim: Any, policy: Any) -> Any:
        heard = Declined("silent") if isinstance(answer, GatewaySilent) else answer
        return rightly(self, heard, claim, policy)

    return patch.object(Payment, "charge_answered", hasty)


@mutation("a code expires whatever became of its payment")
@contextmanager
def expiry_without_check() -> Iterator[object]:
    rightly = Payment.expire

    def careless(self: Payment) -> Any:
        self.state = PaymentState.PENDING
        return rightly(self)

    async def all_overdue(self: MemoryPayments, limit: int) -> list[Payment]:
        late = [row for row in self.rows.values() if row.expires_at and row.expires_at <= self.now]
        return [replace(row) for row in late if row.state is not PaymentState.EXPIRED][:limit]

    with (
        patch.object(Payment, "expire", careless),
        patch.object(MemoryPayments, "lock_overdue", all_overdue),
    ):
        yield None


@mutation("a code is taken though it has expired")
def expired_and_paid() -> AbstractContextManager[object]:
    rightly = Payment.pay

    def lenient(self: Payment, method: str, *, overdue: bool) -> None:
        if self.state is PaymentState.EXPIRED:
            self.state = PaymentState.PENDING
        rightly(self, method, overdue=False)

    return patch.object(Payment, "pay", lenient)


# Orders.


@mutation("a purchase on its way back goes forward again")
def forward_again() -> AbstractContextManager[object]:
    rightly = Purchase._rise

    def eager(self: Purchase, state: State, deadlines: Any) -> bool:
        if self.state is not State.COMPENSATING:
            return rightly(self, state, deadlines)
        self._enter(state, deadlines)
        return True

    return patch.object(Purchase, "_rise", eager)


@mutation("a late event lowers the state of a purchase")
def state_falls() -> AbstractContextManager[object]:
    rightly = Purchase._rise

    def falling(self: Purchase, state: State, deadlines: Any) -> bool:
        if self.state not in FORWARD:
            return rightly(self, state, deadlines)
        self._enter(state, deadlines)
        return True

    return patch.object(Purchase, "_rise", falling)


@mutation("a closed order can be cancelled")
def cancelled_after_closing() -> AbstractContextManager[object]:
    rightly = Purchase.cancel

    def lenient(self: Purchase, now: Any, deadlines: Any) -> Any:
        if self.state is State.CLOSED:
            self.state = State.COMPLETED
        return rightly(self, now, deadlines)

    return patch.object(Purchase, "cancel", lenient)


@mutation("an order can be closed before it is completed")
def closed_early() -> AbstractContextManager[object]:
    rightly = Purchase.close

    def lenient(self: Purchase, now: Any, deadlines: Any) -> Any:
        if self.state in FORWARD:
            self.state = State.COMPLETED
        return rightly(self, now, deadlines)

    return patch.object(Purchase, "close", lenient)


@mutation("what happened last is what was heard last")
def last_heard() -> AbstractContextManager[object]:
    def heard(self: Purchase, service: str) -> str | None:
        return next((each.type for each in self.history[::-1] if each.service == service), None)

    return patch.object(Purchase, "_last_of", heard)


# Those who look, and payouts.


@mutation("the figures follow the event heard last, whatever its sequence")
def sequence_ignored() -> AbstractContextManager[object]:
    rightly = views.upsert

    def careless(rows: Any, fold: Any, row: Any) -> None:
        there = rows.get(row["subject"], {})
        if fold.newest:
            rows[row["subject"]] = {**there, "sequence": 0}
        rightly(rows, fold, row) if there else rows.update({row["subject"]: row})

    return patch.object(views, "upsert", careless)


@mutation("each try to pay a seller has a key of its own")
def seller_paid_twice() -> AbstractContextManager[object]:
    rightly = MemoryBank.pay

    async def forgetful(self: MemoryBank, key: str, **what: Any) -> Any:
        return await rightly(self, f"{key}-{len(self.keys)}", **what)

    return patch.object(MemoryBank, "pay", forgetful)


@mutation("the bank's silence is taken for a no")
def silent_bank_is_no() -> AbstractContextManager[object]:
    rightly = Payout.answered

    def hasty(self: Payout, answer: Any, claim: Any, policy: Any) -> Any:
        silent = isinstance(answer, BankSilent)
        heard = Refused("silent", for_good=True) if silent else answer
        return rightly(self, heard, claim, policy)

    return patch.object(Payout, "answered", hasty)


async def _nothing(*_: Any, **__: Any) -> None:
    """A reaction that has forgotten what it was for."""


def _cancel_ignored(state: PaymentState) -> AbstractContextManager[object]:
    rightly = Payment.cancel

    def forgetful(self: Payment) -> Any:
        return [] if self.state is state else rightly(self)

    return patch.object(Payment, "cancel", forgetful)


def _key_of_each_try(state: PaymentState) -> AbstractContextManager[object]:
    rightly = call_gateway._ask

    async def forgetful(gateway: Any, payment: Payment) -> Any:
        if payment.state is not state or payment.amount_cents is None:
            return await rightly(gateway, payment)
        what: dict[str, Any] = {"amount_cents": payment.amount_cents}
        key = f"{payment.payment_id}-{payment.attempts}"
        if state is PaymentState.PROCESSING:
            what |= {"order_id": payment.order_id, "method": payment.method or ""}
            return await gateway.charge(f"charge-{key}", **what)
        what |= {"charge_reference": payment.charge_reference or ""}
        return await gateway.refund(f"refund-{key}", **what)

    return patch.object(call_gateway, "_ask", forgetful)
