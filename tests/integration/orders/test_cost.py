"""A purchase takes few statements, because each is a round trip and they add up over
four services.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from sqlalchemy import event

from tests.fixtures.services import ServiceClient
from tests.integration.orders.market import buy, consume, consume_together, look


@contextmanager
def statements(orders: ServiceClient) -> Iterator[list[str]]:
    """Yield a list of the statements that are sent in this block."""
    sent: list[str] = []
    engine = orders.service.transactions.engine.sync_engine

    def note(*arguments: object) -> None:
        sent.append(str(arguments[2]))

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


async def test_requesting_a_purchase_takes_six_statements(orders: ServiceClient) -> None:
    """Three statements look up the key, lock the customer and count. Three write the rest."""
    await buy(orders)
    with statements(orders) as sent:
        await buy(orders, uuid4())
    assert len(sent) == 6, sent


async def test_consuming_an_event_takes_two_statements_and_publishing_one_a_third(
    orders: ServiceClient,
) -> None:
    order_id = await buy(orders)
    with statements(orders) as sent:
        await consume(orders, "credit.reserved.v1", order_id)
    assert len(sent) == 2, sent
    with statements(orders) as sent:
        await consume(orders, "vehicle.sold.v1", order_id)
    assert len(sent) == 3, sent


async def test_a_batch_locks_its_purchases_in_one_statement_and_writes_them_in_another(
    orders: ServiceClient,
) -> None:
    order_ids = [await buy(orders, uuid4()) for _ in range(3)]
    with statements(orders) as sent:
        await consume_together(orders, "credit.reserved.v1", order_ids)
    assert len(sent) == 2, sent
    for order_id in order_ids:
        assert (await look(orders, order_id))["state"] == "CREDIT_RESERVED"


async def test_two_events_of_one_purchase_in_a_batch_build_on_each_other(
    orders: ServiceClient,
) -> None:
    order_id = await buy(orders)
    await consume_together(orders, "credit.reserved.v1", [order_id, order_id])
    answer = await look(orders, order_id)
    assert answer["state"] == "CREDIT_RESERVED"
    assert [fact["type"] for fact in answer["history"]].count("credit.reserved.v1") == 1
