"""Payments reacts to the events of a purchase."""

from datetime import timedelta

import pytest
from sqlalchemy import event

from libs.kernel.ids import uuid7
from tests.integration.payments.conftest import Payments


async def test_reserved_vehicle_gets_one_code_however_often_it_is_consumed(
    payments: Payments,
) -> None:
    order_id = await payments.reserved()
    await payments.reserved(order_id)
    record = await payments.record(order_id)
    (told,) = await payments.client.told(order_id)
    assert record["state"] == "PENDING"
    assert record["customer_id"] == payments.customer_id
    assert told["type"] == "payment.code_generated.v1"
    assert int(told["sequence"]) == 1
    assert told["data"] == {
        "tenant_id": payments.tenant,
        "order_id": str(order_id),
        "payment_id": str(record["payment_id"]),
        "amount_cents": 4_500_000,
        "code": record["code"],
        "expires_at": record["expires_at"].isoformat().replace("+00:00", "Z"),
    }


async def test_code_lives_as_long_as_the_setting_says_by_database_time(payments: Payments) -> None:
    order_id = await payments.reserved()
    (row,) = await payments.client.rows("SELECT expires_at - now() AS left FROM payments")
    assert timedelta(seconds=870) < row["left"] <= timedelta(seconds=900)
    assert (await payments.record(order_id))["next_attempt"] is None


@pytest.mark.parametrize("amount", [0, 100_000_001])
async def test_amount_the_gateway_does_not_take_gets_no_code(
    payments: Payments, amount: int
) -> None:
    order_id = await payments.reserved(price_cents=amount)
    (told,) = await payments.client.told(order_id)
    assert told["type"] == "payment.code_generation_failed.v1"
    assert told["data"]["reason"] == "amount_not_payable"
    assert told["data"]["amount_cents"] == amount
    assert await payments.state(order_id) == "FAILED"


async def test_cancellation_before_the_reservation_leaves_a_tombstone(payments: Payments) -> None:
    order_id = uuid7()
    await payments.cancelled(order_id)
    await payments.reserved(order_id)
    await payments.cancelled(order_id)
    (told,) = await payments.client.told(order_id)
    record = await payments.record(order_id)
    assert (told["type"], told["data"]["amount_cents"]) == ("payment.voided.v1", None)
    assert (record["state"], record["code"], record["customer_id"]) == ("VOIDED", None, None)


async def test_cancellation_before_paying_voids_the_code_once(payments: Payments) -> None:
    order_id = await payments.reserved()
    await payments.cancelled(order_id)
    await payments.cancelled(order_id)
    assert await payments.client.types(order_id) == [
        "payment.code_generated.v1",
        "payment.voided.v1",
    ]


async def test_cancellation_while_the_gateway_is_asked_refunds_and_publishes_no_payment(
    payments: Payments,
) -> None:
    order_id = await payments.reserved()
    await payments.paid(order_id)
    await payments.cancelled(order_id)
    assert await payments.state(order_id) == "PROCESSING"
    await payments.gateway_turn()
    await payments.gateway_turn()
    assert await payments.client.types(order_id) == [
        "payment.code_generated.v1",
        "payment.refunded.v1",
    ]
    assert await payments.moved(order_id, "charge") == 1
    assert await payments.moved(order_id, "refund") == 1


async def test_declined_charge_of_a_cancelled_purchase_has_failed(payments: Payments) -> None:
    order_id = await payments.reserved()
    await payments.paid(order_id, "tok_decline")
    await payments.cancelled(order_id)
    await payments.gateway_turn()
    assert await payments.client.types(order_id) == [
        "payment.code_generated.v1",
        "payment.failed.v1",
    ]
    assert await payments.state(order_id) == "FAILED"


@pytest.mark.parametrize("why", ["order.cancellation_requested.v1", "vehicle.sale_failed.v1"])
async def test_paid_purchase_that_is_undone_is_refunded_once(payments: Payments, why: str) -> None:
    order_id = await payments.reserved()
    await payments.paid(order_id)
    await payments.gateway_turn()
    await payments.consumes(why, order_id)
    await payments.consumes(why, order_id)
    await payments.gateway_turn()
    await payments.gateway_turn()
    assert await payments.client.types(order_id) == [
        "payment.code_generated.v1",
        "payment.processed.v1",
        "payment.refunded.v1",
    ]
    assert await payments.moved(order_id, "refund") == 1
    assert [int(told["sequence"]) for told in await payments.client.told(order_id)] == [1, 2, 3]


async def test_failed_sale_of_an_unknown_purchase_changes_nothing(payments: Payments) -> None:
    order_id = uuid7()
    await payments.consumes("vehicle.sale_failed.v1", order_id)
    assert await payments.client.told(order_id) == []
    assert await payments.client.rows("SELECT 1 FROM payments") == []


async def test_code_not_paid_in_time_expires_once(payments: Payments) -> None:
    order_id, in_time = await payments.reserved(), await payments.reserved()
    await payments.overdue(order_id)
    assert not await payments.loop("expiry")
    await payments.loop("expiry")
    assert await payments.client.types(order_id) == [
        "payment.code_generated.v1",
        "payment.expired.v1",
    ]
    assert await payments.state(in_time) == "PENDING"


async def test_reactions_take_few_statements(payments: Payments) -> None:
    """The cost of a message is the number of its statements."""
    statements: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    engine = payments.client.service.transactions.engine.sync_engine
    event.listen(engine, "before_cursor_execute", count)
    order_id = await payments.reserved()
    assert len(statements) == 2, statements
    statements.clear()
    await payments.reserved(order_id)
    assert len(statements) == 1, statements
    statements.clear()
    await payments.cancelled(order_id)
    assert len(statements) == 3, statements
