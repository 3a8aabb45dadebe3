"""Payouts reacts to a closed order."""

from sqlalchemy import event

from libs.kernel.ids import uuid7
from tests.integration.payouts.conftest import Payouts


async def test_closed_order_pays_its_seller_once_however_often_it_is_consumed(
    payouts: Payouts,
) -> None:
    seller_id = uuid7()
    order_id = await payouts.closed(seller_id=seller_id)
    await payouts.closed(order_id, seller_id)
    await payouts.bank_turn(2)
    record = await payouts.record(order_id)
    assert record["external_id"] == f"order:{order_id}"
    assert (record["status"], record["seller_id"]) == ("PAID", seller_id)
    (told,) = await payouts.client.told(order_id)
    assert (told["type"], int(told["sequence"])) == ("payout.completed.v1", 1)
    assert told["correlationid"] == str(order_id)
    assert told["data"] == {
        "tenant_id": payouts.tenant,
        "payout_id": str(record["payout_id"]),
        "external_id": f"order:{order_id}",
        "order_id": str(order_id),
        "seller_id": str(seller_id),
        "amount_cents": 4_500_000,
    }
    (transfer,) = await payouts.client.rows("SELECT * FROM sandbox_transfers")
    assert (transfer["seller_id"], transfer["amount_cents"]) == (seller_id, 4_500_000)


async def test_order_without_a_seller_pays_nobody(payouts: Payouts) -> None:
    order_id = await payouts.closed(sold=False)
    await payouts.bank_turn()
    assert await payouts.client.rows("SELECT 1 FROM payouts") == []
    assert await payouts.client.told(order_id) == []


async def test_seller_is_not_paid_before_the_reaction_is_committed(payouts: Payouts) -> None:
    order_id = await payouts.closed()
    assert await payouts.status(order_id) == "PENDING"
    assert await payouts.transfers() == []


async def test_reaction_takes_one_statement(payouts: Payouts) -> None:
    """The cost of a message is the number of its statements."""
    statements: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(
        payouts.client.service.transactions.engine.sync_engine, "before_cursor_execute", count
    )
    await payouts.closed()
    assert len(statements) == 1, statements
