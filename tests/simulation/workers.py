"""Simulates the timers, and the workers that call the gateway and the bank."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from services.orders.application.give_up_overdue_purchases import give_up_overdue_purchases
from services.orders.domain.states import State as PurchaseState
from services.payments.application.call_gateway import call_gateway
from services.payments.application.expire_payment_codes import expire_payment_codes
from services.payments.application.record_charge import record_charge
from services.payments.application.record_refund import record_refund
from services.payments.domain.gateway import GatewayPolicy
from services.payments.domain.payment import Payment
from services.payments.domain.payment import State as PaymentState
from services.payouts.application.call_bank import call_bank
from services.payouts.application.record_answer import record_answer
from services.payouts.domain.bank import BankPolicy
from tests.simulation.database import Fault
from tests.simulation.money import Money
from tests.simulation.people import TENANTS
from tests.simulation.world import World
from tests.unit.payments.memory import MemoryGateway
from tests.unit.payouts.memory import MemoryBank

AT_ONCE = 16
LEASE = timedelta(seconds=30)
PATIENCE = timedelta(days=1)
"""A call without an answer raises an error at once, so this limit is never reached."""
GATEWAY = GatewayPolicy(timedelta(seconds=1), timedelta(minutes=5), refund_tries=3, silent_tries=2)
CARD_TRIES = dict(zip(TENANTS, (1, 3), strict=True))
"""The tries for a card of a payment, by its tenant, so that one run has both."""
BANK = BankPolicy(timedelta(seconds=1), timedelta(minutes=5), tries=3, silent_tries=2)

GATEWAY_MOODS = {"yes": "approve", "no": "decline", "lost": "silent_before", "late": "silent_after"}
BANK_MOODS = {
    "yes": "pay",
    "no": "refuse",
    "never": "refuse for good",
    "lost": "silent before",
    "late": "silent after",
}


@dataclass(frozen=True)
class Claim:
    """A worker has claimed a call. A worker that has not called before `until` has died."""

    record: Any
    until: datetime


class Workers:
    def __init__(self, world: World) -> None:
        self.world = world
        self.gateway = MemoryGateway()
        self.bank = MemoryBank()
        self.claims: list[Claim] = []
        self.answers: list[tuple[Any, Any]] = []
        self._runner = asyncio.Runner()

    @property
    def money(self) -> Money:
        return Money.moved_by(self.gateway, self.bank)

    def close(self) -> None:
        self._runner.close()

    def advance(self, to: datetime) -> None:
        self.world.now = to
        self.claims = [claim for claim in self.claims if claim.until > to]

    def expire_codes(self, fault: Fault = Fault.NONE) -> None:
        self.world.do("payments", lambda uow: expire_payment_codes(uow, limit=AT_ONCE), fault)

    def give_up_overdue(self, fault: Fault = Fault.NONE) -> None:
        self.world.do(
            "orders",
            lambda uow: give_up_overdue_purchases(uow, most=AT_ONCE, now=self.world.now),
            fault,
        )

    def claim(self, fault: Fault = Fault.NONE) -> None:
        claims: dict[str, Callable[[Any], Any]] = {
            "payments": lambda uow: uow.payments.claim_calls(AT_ONCE, LEASE),
            "payouts": lambda uow: uow.payouts.claim_calls(AT_ONCE, LEASE),
        }
        until = self.world.now + LEASE
        for service, claim in claims.items():
            claimed = self.world.do(service, claim, fault) or ()
            self.claims += [Claim(record, until) for record in claimed]

    def call(self, claim: Claim, mood: str) -> None:
        """Make the call, without recording its answer yet."""
        self.claims = [each for each in self.claims if each is not claim]
        record = claim.record
        if isinstance(record, Payment):
            self.gateway.moods = [GATEWAY_MOODS.get(mood, "decline")]
            answer: Any = self._runner.run(call_gateway(self.gateway, record, PATIENCE))
        else:
            self.bank.mood = BANK_MOODS[mood]
            answer = self._runner.run(call_bank(self.bank, record, PATIENCE))
        self.answers.append((record, answer))

    def record(self, answered: tuple[Any, Any], fault: Fault = Fault.NONE) -> None:
        self.answers.remove(answered)
        record, answer = answered
        if isinstance(record, Payment):
            charging = record.state is PaymentState.PROCESSING
            use_case: Callable[..., Any] = record_charge if charging else record_refund
            policy = replace(GATEWAY, card_tries=CARD_TRIES[record.tenant_id])
            told: dict[str, Any] = {"order_id": record.order_id, "policy": policy}
        else:
            use_case, told = record_answer, {"payout_id": record.payout_id, "policy": BANK}
        service = "payments" if isinstance(record, Payment) else "payouts"
        told |= {"answer": answer, "claim": record.claim}
        self.world.do(service, lambda uow: use_case(uow, **told), fault)

    def finish(self, mood: str = "yes") -> None:
        """Make every call that is due, and record every answer."""
        self.claim()
        for claim in list(self.claims):
            self.call(claim, mood)
        for answered in list(self.answers):
            self.record(answered)

    def next_due(self) -> datetime | None:
        """Return when a timer or a worker acts next. A compensation has no deadline."""
        rows = self.world.rows
        codes = [
            payment.expires_at
            for payment in rows("payments", "payments").values()
            if payment.state is PaymentState.PENDING
        ]
        deadlines = [
            purchase.due
            for purchase in self.world.purchases().values()
            if isinstance(purchase.due, datetime)
            and purchase.state is not PurchaseState.COMPENSATING
        ]
        calls = [*rows("payments", "due").values(), *rows("payouts", "due").values()]
        return min([*codes, *deadlines, *calls], default=None)
