"""The service consumes peers' events from RabbitMQ and answers with figures over HTTP."""

import json
import uuid
from typing import Any
from uuid import UUID

import aio_pika

from libs.kernel.ids import uuid7
from services.kpis.main import build
from tests.fixtures.polling import eventually
from tests.fixtures.services import serving
from tests.integration.kpis.conftest import NOVEMBER, Database, settings_for

SALE = {"customer_id": uuid7(), "vehicle_id": uuid7(), "seller_id": uuid7()}


async def test_events_from_the_broker_become_figures_once(
    kpis_database: Database, market_broker: str
) -> None:
    tenant = f"tenant-{uuid.uuid4().hex}"
    orders = [uuid7() for _ in range(30)]
    back = orders[:10]
    settings = settings_for(kpis_database, role="all", rabbitmq_url=market_broker)
    async with (
        await aio_pika.connect(market_broker) as connection,
        await connection.channel() as channel,
    ):

        async def send(event_type: str, order: UUID, **data: Any) -> None:
            body = envelope(event_type, tenant, order, data)
            for _ in range(2):  # the second is a duplicate
                queue = f"kpis.on.{event_type}"
                await channel.default_exchange.publish(aio_pika.Message(body), queue)

        for order in back:
            await send("order.cancelled.v1", order, **SALE, total_cents=100, reason=None)
        for order in orders:
            await send("order.completed.v1", order, **SALE, total_cents=100)
        async with serving(build(settings)) as client:

            async def outcomes() -> bool:
                answer = await client.get(
                    "/kpis/monthly_sales/value",
                    params={"month": "2026-11"},
                    headers={"X-Tenant-Id": tenant},
                )
                assert answer.json()["value"] == 2000
                return True

            assert await eventually(outcomes)
    async with kpis_database.connected("app") as database:
        consumed = await database.fetchval(
            "SELECT count(*) FROM facts WHERE tenant_id = $1", tenant
        )
    assert consumed == 40


def envelope(event_type: str, tenant: str, order: UUID, data: dict[str, Any]) -> bytes:
    event = {
        "specversion": "1.0",
        "id": uuid7(),
        "source": "orders",
        "type": event_type,
        "subject": order,
        "time": NOVEMBER.isoformat(),
        "tenantid": tenant,
        "sequence": 1,
        "data": data,
    }
    return json.dumps(event, default=str).encode()
