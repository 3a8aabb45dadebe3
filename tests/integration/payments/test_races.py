"""Of two concurrent actions on one payment exactly one wins, and the money agrees with it."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from libs.kernel.ids import uuid7
from services.payments.application.cancel_payment import cancel_payment
from services.payments.application.pay_code import pay_code
from services.payments.application.record_charge import record_charge
from services.payments.domain.gateway import Approved, GatewayPolicy
from services.payments.infrastructure.postgres import PostgresPaymentsUnitOfWork
from tests.fixtures.polling import eventually
from tests.integration.payments.conftest import Payments

ROUNDS = 8


async def test_two_payments_of_one_code_at_once_charge_once(payments: Payments) -> None:
    for _ in range(ROUNDS):
        order_id = await payments.reserved()
        code = await payments.code(order_id)
        answers = await asyncio.gather(*(payments.pay(code) for _ in range(4)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.content for answer in answers}) == 1
        await asyncio.gather(payments.loop("gateway"), payments.loop("gateway"))
        assert await payments.moved(order_id, "charge") == 1
        assert (await payments.record(order_id))["version"] == 2


async def test_two_requests_with_one_key_at_once_are_one(payments: Payments) -> None:
    for _ in range(ROUNDS):
        code = await payments.code(await payments.reserved())
        key = uuid7().hex
        answers = await asyncio.gather(*(payments.pay(code, key=key) for _ in range(4)))
        assert {answer.status_code for answer in answers} <= {202, 409}
        assert 202 in {answer.status_code for answer in answers}


async def test_payment_against_expiry_has_exactly_one_winner(payments: Payments) -> None:
    """The code's time ends while the payment and the expiry are under way."""
    for round_ in range(ROUNDS):
        order_id = await payments.reserved()
        code = await payments.code(order_id)
        await payments.client.execute(
            "UPDATE payments SET expires_at = now() + make_interval(secs => :left)"
            " WHERE order_id = :order",
            order=order_id,
            left=0.004 * round_,
        )
        timers = asyncio.gather(*(payments.loop("expiry") for _ in range(3)))
        answer, _ = await asyncio.gather(payments.pay(code), timers)
        await payments.loop("expiry")
        state = await payments.state(order_id)
        assert (answer.status_code, state) in {(202, "PROCESSING"), (409, "EXPIRED")}
        await payments.loop("gateway")
        assert await payments.moved(order_id, "charge") == (answer.status_code == 202)


async def test_timer_passes_over_a_code_that_is_just_being_paid(payments: Payments) -> None:
    order_id = await payments.reserved()
    code = await payments.code(order_id)

    async def pay(uow: PostgresPaymentsUnitOfWork) -> None:
        """Pay in time: the payment began before the code's time ended."""
        await uow.connection.execute(text("SELECT 1"))
        await payments.overdue(order_id)
        await pay_code(
            uow, tenant_id=payments.tenant, code=code, method="tok_approve", may_see=lambda _: True
        )
        await payments.loop("expiry")

    await payments.client.service.transactions.run(pay)
    assert await payments.state(order_id) == "PROCESSING"
    assert await payments.client.types(order_id) == ["payment.code_generated.v1"]


async def test_payment_against_cancellation_keeps_no_money(payments: Payments) -> None:
    for _ in range(ROUNDS):
        order_id = await payments.reserved()
        code = await payments.code(order_id)
        answer, _ = await asyncio.gather(payments.pay(code), payments.cancelled(order_id))
        await payments.gateway_turn()
        await payments.gateway_turn()
        won = answer.status_code == 202
        assert await payments.state(order_id) == ("REFUNDED" if won else "VOIDED")
        assert await payments.moved(order_id, "charge") == won
        assert await payments.moved(order_id, "refund") == won


async def test_cancellation_against_the_gateways_answer_keeps_no_money(payments: Payments) -> None:
    for _ in range(ROUNDS):
        order_id = await payments.reserved()
        await payments.paid(order_id)
        await asyncio.gather(payments.loop("gateway"), payments.cancelled(order_id))
        await payments.gateway_turn()
        await payments.gateway_turn()
        assert await payments.state(order_id) == "REFUNDED"
        assert await payments.moved(order_id, "charge") == 1
        assert await payments.moved(order_id, "refund") == 1


async def test_answer_that_meets_an_uncommitted_cancellation_waits_for_it(
    payments: Payments,
) -> None:
    order_id = await payments.reserved()
    await payments.paid(order_id)
    transactions = payments.client.service.transactions
    claimed = await transactions.run(lambda uow: uow.payments.claim_calls(1, timedelta(minutes=1)))
    recording = []

    async def cancel(uow: PostgresPaymentsUnitOfWork) -> None:
        await cancel_payment(uow, tenant_id=payments.tenant, order_id=order_id, payment_id=uuid7())
        recording.append(asyncio.create_task(record()))
        await eventually(payments.client.somebody_waits_for_a_lock)

    async def record() -> None:
        await transactions.run(
            lambda uow: record_charge(
                uow,
                order_id=order_id,
                answer=Approved("charge-1"),
                claim=claimed[0].claim,
                policy=GatewayPolicy(timedelta(seconds=1), timedelta(seconds=1), refund_tries=1),
            )
        )

    await transactions.run(cancel)
    await asyncio.gather(*recording)
    assert await payments.state(order_id) == "REFUNDING"
    assert await payments.client.types(order_id) == ["payment.code_generated.v1"]


@pytest.mark.parametrize("copies", [1, 3])
async def test_cancellation_against_the_reservation_always_ends_voided(
    payments: Payments, copies: int
) -> None:
    for _ in range(ROUNDS):
        order_id = uuid7()
        await asyncio.gather(
            *(payments.reserved(order_id) for _ in range(copies)),
            *(payments.cancelled(order_id) for _ in range(copies)),
        )
        assert await payments.state(order_id) == "VOIDED"
        types = await payments.client.types(order_id)
        assert types.count("payment.voided.v1") == 1
        numbers = [int(told["sequence"]) for told in await payments.client.told(order_id)]
        assert numbers == list(range(1, len(numbers) + 1))


async def test_settlement_against_retry_has_exactly_one_winner(payments: Payments) -> None:
    for _ in range(2):
        order_id, payment_id = await payments.refund_failed()
        refund = f"/payments/{payment_id}/refund"
        settled, retried = await asyncio.gather(
            payments.client.post(
                f"{refund}/settle",
                json={"reference": "r", "note": "n"},
                headers=payments.operator,
            ),
            payments.client.post(f"{refund}/retry", headers=payments.operator),
        )
        assert sorted([settled.is_success, retried.is_success]) == [False, True]
        state = await payments.state(order_id)
        assert state == ("REFUNDED" if settled.is_success else "REFUNDING")
