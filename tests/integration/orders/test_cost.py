"""What a purchase costs in statements: each is a round trip, and they add up over four services."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from sqlalchemy import event

from tests.fixtures.services import ServiceClient
from tests.integration.orders.market import buy, hear


@contextmanager
def statements(orders: ServiceClient) -> Iterator[list[str]]:
    """The statements sent meanwhile."""
    sent: list[str] = []
    engine = orders.service.transactions.engine.sync_engine

    def note(*arguments: object) -> None:
        sent.append(str(arguments[2]))

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


async def test_requesting_a_purchase_takes_six_statements(orders: ServiceClient) -> None:
    """Key looked up, customer locked, open purchases counted; order, event and key written."""
    await buy(orders)
    with statements(orders) as sent:
        await buy(orders, uuid4())
    assert len(sent) == 6, sent


async def test_hearing_an_event_takes_two_statements_and_stating_one_a_third(
    orders: ServiceClient,
) -> None:
    order_id = await buy(orders)
    with statements(orders) as sent:
        await hear(orders, "credit.reserved.v1", order_id)
    assert len(sent) == 2, sent
    with statements(orders) as sent:
        await hear(orders, "vehicle.sold.v1", order_id)
    assert len(sent) == 3, sent
