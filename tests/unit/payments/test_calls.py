"""How the gateway is called: what goes wrong is an answer too, and patience is bounded."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from pydantic import ValidationError

from libs.kernel.calls import Unanswered
from services.payments.application.call_gateway import call_gateway
from services.payments.domain.gateway import Approved, Declined, GatewayPolicy
from services.payments.domain.payment import Payment, State
from services.payments.infrastructure.settings import PaymentsSettings
from tests.unit.payments.memory import MemoryGateway

PATIENCE = timedelta(seconds=0.01)


def payment(state: State) -> Payment:
    return Payment(
        order_id=UUID(int=1),
        tenant_id="default",
        payment_id=UUID(int=2),
        state=state,
        amount_cents=500,
        method="tok_approve",
        charge_reference=f"charge-{UUID(int=2)}",
    )


class SlowGateway(MemoryGateway):
    async def charge(
        self, key: str, *, order_id: UUID, amount_cents: int, method: str
    ) -> Approved | Declined:
        await asyncio.Event().wait()
        raise AssertionError


def test_waits_double_up_to_the_longest() -> None:
    policy = GatewayPolicy(timedelta(seconds=1), timedelta(seconds=5), refund_tries=3)
    assert [policy.delay(attempt).total_seconds() for attempt in (1, 2, 3, 4)] == [1, 2, 4, 5]
    assert policy.delay(1_000_000) == timedelta(seconds=5)


async def test_gateway_without_an_answer_is_given_up_in_time() -> None:
    answer = await call_gateway(SlowGateway(), payment(State.PROCESSING), PATIENCE)
    assert answer == Unanswered("the gateway did not answer: TimeoutError")


async def test_gateway_that_fails_has_not_answered() -> None:
    gateway = MemoryGateway(moods=["silent_before"])
    answer = await call_gateway(gateway, payment(State.PROCESSING), PATIENCE)
    assert answer == Unanswered("the gateway did not answer: ConnectionError")


async def test_each_payment_has_one_key_for_its_charge_and_one_for_its_refund() -> None:
    gateway = MemoryGateway()
    for state in (State.PROCESSING, State.PROCESSING, State.REFUNDING, State.REFUND_FAILED):
        await call_gateway(gateway, payment(state), PATIENCE)
    assert set(gateway.results) == {f"charge-{UUID(int=2)}", f"refund-{UUID(int=2)}"}


def test_lease_that_ends_within_a_call_is_refused() -> None:
    with pytest.raises(ValidationError, match="GATEWAY_LEASE_SECONDS"):
        PaymentsSettings(
            _env_file=None,
            role="api",
            database_url="postgresql://nobody@localhost/nothing",
            gateway_patience_seconds=30,
        )
