"""A purchase is given up once, although a worker is killed around its deadline timer's commit."""

import pytest

from tests.faults.crashes import dies_at
from tests.fixtures.services import ServiceClient
from tests.integration.orders.market import buy, look, overdue, published

pytestmark = pytest.mark.slow

GIVEN_UP = "order.cancellation_requested.v1"


@pytest.mark.parametrize(
    ("point", "recorded"),
    [(f"before commit:{GIVEN_UP}", False), (f"after commit:{GIVEN_UP}", True)],
)
async def test_overdue_purchase_is_given_up_once_though_the_timer_was_killed(
    orders: ServiceClient, orders_database: str, vhost: str, point: str, *, recorded: bool
) -> None:
    order_id = await buy(orders)
    await overdue(orders, order_id)
    worker = {"DATABASE_URL": orders_database, "RABBITMQ_URL": vhost, "ROLE": "worker", "PORT": "0"}
    await dies_at(point, "services.orders.main", database=orders_database, environment=worker)
    assert (GIVEN_UP in await published(orders, order_id)) is recorded

    (timer,) = orders.service.loops
    await timer.work()
    await timer.work()
    assert (await published(orders, order_id)).count(GIVEN_UP) == 1
    assert (await look(orders, order_id))["state"] == "COMPENSATING"
