"""Two things at once, on real rows: exactly one wins, and money agrees with it."""

import asyncio

import pytest

from libs.kernel.ids import uuid7
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
    """The code's time ends while both are on their way."""
    for round_ in range(ROUNDS):
        order_id = await payments.reserved()
        code = await payments.code(order_id)
        await payments.execute(
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
        types = await payments.types(order_id)
        assert types.count("payment.voided.v1") == 1
        numbers = [told["sequence"] for told in await payments.told(order_id)]
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
