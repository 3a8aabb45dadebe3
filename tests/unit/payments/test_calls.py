"""Each charge and each refund has its own key, and an error of the gateway is no answer."""

from datetime import timedelta
from uuid import UUID

from libs.kernel.calls import Unanswered
from services.payments.application.call_gateway import call_gateway
from services.payments.domain.payment import Payment, State
from tests.unit.payments.memory import MemoryGateway

PATIENCE = timedelta(seconds=0.01)


def payment(state: State, declines: int = 0) -> Payment:
    return Payment(
        order_id=UUID(int=1),
        tenant_id="default",
        payment_id=UUID(int=2),
        state=state,
        amount_cents=500,
        declines=declines,
        method="tok_approve",
        charge_reference=f"charge-{UUID(int=2)}",
    )


async def test_gateway_that_fails_has_not_answered() -> None:
    gateway = MemoryGateway(moods=["silent_before"])
    answer = await call_gateway(gateway, payment(State.PROCESSING), PATIENCE)
    assert answer == Unanswered("the gateway did not answer: ConnectionError")


async def test_each_payment_has_one_key_for_its_charge_and_one_for_its_refund() -> None:
    gateway = MemoryGateway()
    for state in (State.PROCESSING, State.PROCESSING, State.REFUNDING, State.REFUND_FAILED):
        await call_gateway(gateway, payment(state), PATIENCE)
    assert set(gateway.results) == {f"charge-{UUID(int=2)}", f"refund-{UUID(int=2)}"}


async def test_a_new_card_is_charged_under_a_key_of_its_own() -> None:
    gateway = MemoryGateway()
    for declines in (0, 1, 2):
        await call_gateway(gateway, payment(State.PROCESSING, declines), PATIENCE)
    charge = f"charge-{UUID(int=2)}"
    assert set(gateway.results) == {charge, f"{charge}-2", f"{charge}-3"}
