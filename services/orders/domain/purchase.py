"""Orders sees a purchase as a state machine that is driven by the events of peers.

Events arrive in any order and more than once. Three rules make every purchase end correctly:
forward events only raise the state; a failure, a cancellation or a deadline starts the compensation
for good; the release of the credit, the last step of the compensation, ends it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from services.events import PurchaseEvent
from services.orders.domain.deadlines import Deadlines
from services.orders.domain.errors import (
    OrderAlreadyClosed,
    PurchaseAlreadyFailed,
    PurchaseNotCompleted,
)
from services.orders.domain.events import (
    OrderCancellationRequested,
    OrderCancelled,
    OrderClosed,
    OrderCompleted,
    OrderConfirmed,
    OrderFailed,
)
from services.orders.domain.history import Fact
from services.orders.domain.states import ENDED, FORWARD, State

CANCELLED_BY_BUYER = "cancelled_by_buyer"
DEADLINE_PASSED = "deadline_passed"
LOST = "purchase_lost"
ASKING_FOR_A_PERSON = (
    ("payments", ("payment.charge_unanswered.v1", "payment.refund_failed.v1")),
    ("payouts", ("payout.unanswered.v1", "payout.failed.v1")),
)


@dataclass(kw_only=True)
class Purchase:
    """`sequence` counts the events that orders has published about the purchase. `due` says when
    the deadline timer must look at the purchase: an instant, or a time from the database's now,
    which becomes an instant when the purchase is saved. The purchase follows the policy
    `deadlines`.
    """

    order_id: UUID
    tenant_id: str
    customer_id: UUID
    vehicle_id: UUID
    price_cents: int
    deadlines: Deadlines
    state: State = State.REQUESTED
    sequence: int = 0
    reason: str | None = None
    cancelled_by_buyer: bool = False
    seller_id: UUID | None = None
    payment_code: str | None = None
    code_expires_at: datetime | None = None
    due: datetime | timedelta | None = None
    history: list[Fact] = field(default_factory=list)

    @property
    def requested_at(self) -> datetime | None:
        """Return the time of orders' first event, when the purchase began, or None where it is
        unknown.
        """
        return min((fact.time for fact in self.history if fact.service == "orders"), default=None)

    @property
    def needs_attention(self) -> bool:
        """Return whether the last event of payments or of payouts asks for a person."""
        return any(self._last_of(service) in asking for service, asking in ASKING_FOR_A_PERSON)

    def request(self, now: datetime) -> list[PurchaseEvent]:
        self._enter(State.REQUESTED)
        return [
            OrderConfirmed(
                order_id=self.order_id,
                tenant_id=self.tenant_id,
                sequence=self._next(OrderConfirmed.type, now),
                customer_id=self.customer_id,
                vehicle_id=self.vehicle_id,
                total_cents=self.price_cents,
            )
        ]

    def reach(self, state: State, fact: Fact) -> None:
        """Raise the state to `state`, because a peer has done its step. A higher state does not
        change.
        """
        self.note(fact)
        self._rise(state)

    def receive_code(self, code: str, expires_at: datetime, fact: Fact) -> None:
        """Keep the code that the buyer pays with, in every state."""
        self.payment_code, self.code_expires_at = code, expires_at
        self.reach(State.AWAITING_PAYMENT, fact)

    def complete(self, seller_id: UUID, fact: Fact, now: datetime) -> list[PurchaseEvent]:
        """Take the last step forward: the vehicle is sold."""
        self.note(fact)
        self.seller_id = seller_id
        if not self._rise(State.COMPLETED):
            return []
        return [
            OrderCompleted(
                order_id=self.order_id,
                tenant_id=self.tenant_id,
                sequence=self._next(OrderCompleted.type, now),
                customer_id=self.customer_id,
                vehicle_id=self.vehicle_id,
                seller_id=seller_id,
                total_cents=self.price_cents,
            )
        ]

    def turn_back(self, reason: str | None, fact: Fact) -> None:
        """Begin the compensation: a peer failed or undid its step. The first reason is kept."""
        self.note(fact)
        if self.state is State.CLOSED:
            return
        self.reason = self.reason or reason
        if self.state in FORWARD:
            self._enter(State.COMPENSATING)

    def end(self, reason: str | None, fact: Fact, now: datetime) -> list[PurchaseEvent]:
        """End the purchase. The state is cancelled where the buyer cancelled, else failed."""
        self.turn_back(reason, fact)
        if self.state in ENDED:
            return []
        self._enter(State.CANCELLED if self.cancelled_by_buyer else State.FAILED)
        event = OrderCancelled if self.cancelled_by_buyer else OrderFailed
        return [
            event(
                order_id=self.order_id,
                tenant_id=self.tenant_id,
                sequence=self._next(event.type, now),
                customer_id=self.customer_id,
                vehicle_id=self.vehicle_id,
                total_cents=self.price_cents,
                reason=self.reason,
            )
        ]

    def note(self, fact: Fact) -> None:
        """Keep a peer's event in the history, once."""
        if not any(fact.repeats(known) for known in self.history):
            self.history.append(fact)

    def cancel(self, now: datetime) -> list[PurchaseEvent]:
        """Cancel for the buyer. During a compensation this only decides how the purchase ends.

        Raises OrderAlreadyClosed and PurchaseAlreadyFailed. A second cancellation changes nothing.
        """
        if self.state is State.CLOSED:
            raise OrderAlreadyClosed
        if self.state is State.FAILED:
            raise PurchaseAlreadyFailed
        if self.cancelled_by_buyer or self.state is State.CANCELLED:
            return []
        self.cancelled_by_buyer = True
        if self.state is State.COMPENSATING:
            return []
        return [self._give_up(CANCELLED_BY_BUYER, now)]

    def run_out_of_time(self, now: datetime) -> list[PurchaseEvent]:
        """Give up a purchase past its deadline. A compensation goes on; only its `due` moves on."""
        if self.state is State.COMPENSATING:
            self.due = self.deadlines.compensating
            return []
        return [self._give_up(DEADLINE_PASSED, now)]

    def end_lost(self, now: datetime) -> list[PurchaseEvent]:
        """End a purchase that peers know and the database has lost, because nobody knows how far it
        had come. The lost `order.confirmed` had the sequence 1.
        """
        self._next(OrderConfirmed.type, now)
        return [self._give_up(LOST, now)]

    def close(self, now: datetime) -> list[PurchaseEvent]:
        """Close the purchase: the buyer has picked the vehicle up. Raises PurchaseNotCompleted."""
        if self.state is not State.COMPLETED:
            raise PurchaseNotCompleted(state=self.state)
        self._enter(State.CLOSED)
        return [
            OrderClosed(
                order_id=self.order_id,
                tenant_id=self.tenant_id,
                sequence=self._next(OrderClosed.type, now),
                customer_id=self.customer_id,
                vehicle_id=self.vehicle_id,
                seller_id=self.seller_id,
                total_cents=self.price_cents,
            )
        ]

    def _last_of(self, service: str) -> str | None:
        """Return the type of the last event that a service has published."""
        facts = [fact for fact in self.history if fact.service == service]
        return max(facts, key=lambda fact: fact.sequence).type if facts else None

    def _give_up(self, reason: str, now: datetime) -> PurchaseEvent:
        self.reason = self.reason or reason
        self._enter(State.COMPENSATING)
        return OrderCancellationRequested(
            order_id=self.order_id,
            tenant_id=self.tenant_id,
            sequence=self._next(OrderCancellationRequested.type, now),
            customer_id=self.customer_id,
            vehicle_id=self.vehicle_id,
            total_cents=self.price_cents,
            reason=reason,
        )

    def _rise(self, state: State) -> bool:
        """Return whether the state rose to `state`. The state never falls or leaves the
        compensation.
        """
        if self.state not in FORWARD or FORWARD.index(state) <= FORWARD.index(self.state):
            return False
        self._enter(state)
        return True

    def _enter(self, state: State) -> None:
        self.state = state
        if state not in (State.CREDIT_RESERVED, State.VEHICLE_RESERVED):
            self.due = self.deadlines.on_entering(state, self.code_expires_at)

    def _next(self, event_type: str, now: datetime) -> int:
        """Return the sequence of orders' next event, and keep that event in the history."""
        self.sequence += 1
        self.history.append(Fact(event_type, "orders", self.sequence, now))
        return self.sequence
