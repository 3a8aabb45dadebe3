"""Many equal requests at once have one effect. Of many writers of one version one succeeds."""

import asyncio
import uuid
from collections import Counter
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.fixtures.whole_market import WholeMarket
from tests.security.bodies import BODIES
from tests.security.things import PRICE, Things

pytestmark = pytest.mark.asyncio(loop_scope="module")

EQUAL, WRITERS = 50, 20
CREATING = {
    ("orders", "POST /orders"): "orders",
    ("orders", "POST /purchase"): "orders",
    ("customers", "POST /customers"): "customers",
    ("vehicles", "POST /vehicles"): "vehicles",
    ("payments", "POST /payments"): "idempotency_keys",
    ("payouts", "POST /payouts"): "payouts",
    ("kpis", "POST /kpis"): "kpis",
}
"""Each makes one row in this table. Of a payment it is the note that it was paid."""
BUSY = (409, 503)


async def until_answered(
    market: WholeMarket, who: Any, service: str, method: str, path: str, **request: Any
) -> httpx.Response:
    """Retry while the first request is in flight or the service is busy, as a client should."""
    async with asyncio.timeout(60):
        while True:
            answer = await market.ask(who, service, method, path, **request)
            if answer.status_code not in BUSY or "Retry-After" not in answer.headers:
                return answer
            await asyncio.sleep(0.05)


async def count(market: WholeMarket, service: str, table: str, tenant: str) -> int:
    engine = market.services[service].service.transactions.engine
    query = text(f"SELECT count(*) FROM {table} WHERE tenant_id = :tenant")
    async with engine.connect() as connection:
        return int((await connection.execute(query, {"tenant": tenant})).scalar_one())


@pytest.mark.parametrize(("service", "endpoint"), CREATING)
async def test_equal_requests_at_once_have_one_effect_and_one_answer(
    market: WholeMarket, service: str, endpoint: str
) -> None:
    things = await Things(market).begin()
    who = things.operator if service == "payments" else things.admin
    path, body = endpoint.partition(" ")[2], await BODIES[endpoint](things, who)
    before = await count(market, service, CREATING[service, endpoint], things.tenant)
    key = {"Idempotency-Key": uuid.uuid4().hex}

    answers = await asyncio.gather(
        *(
            until_answered(market, who, service, "POST", path, json=body, headers=key)
            for _ in range(EQUAL)
        )
    )

    assert {(answer.status_code, answer.content) for answer in answers} == {
        (answers[0].status_code, answers[0].content)
    }
    assert answers[0].is_success, answers[0].text
    replayed = Counter(answer.headers.get("Idempotency-Replayed") for answer in answers)
    assert replayed == {None: 1, "true": EQUAL - 1}
    after = await count(market, service, CREATING[service, endpoint], things.tenant)
    assert after == before + 1


UPDATES: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("orders", "PATCH /orders/{draft_id}/confirm"): [
        {"totalCents": PRICE + n} for n in range(WRITERS)
    ],
    ("customers", "PATCH /customers/{customer_id}"): [
        {"name": f"Maria {chr(65 + n)}"} for n in range(WRITERS)
    ],
    ("customers", "PUT /customers/{customer_id}/credit-limit"): [
        {"limit_cents": PRICE + n} for n in range(WRITERS)
    ],
    ("vehicles", "PATCH /vehicles/{vehicle_id}"): [
        {"price_cents": PRICE + 1 + n} for n in range(WRITERS)
    ],
    ("kpis", "PATCH /kpis/{kpi_id}"): [{"name": f"name {n}"} for n in range(WRITERS)],
}


@pytest.mark.parametrize(("service", "endpoint"), UPDATES)
async def test_of_many_writers_of_one_version_one_succeeds(
    market: WholeMarket, service: str, endpoint: str
) -> None:
    things = await Things(market).begin()
    method, _, template = endpoint.partition(" ")
    path = await things.path(template)
    seen = await market.ask(
        things.admin, service, "GET", path.removesuffix("/confirm").removesuffix("/credit-limit")
    )
    version = {"If-Match": seen.headers["ETag"]}

    answers = await asyncio.gather(
        *(
            until_answered(market, things.admin, service, method, path, json=body, headers=version)
            for body in UPDATES[service, endpoint]
        )
    )

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {200: 1, 412: WRITERS - 1}
    [winner] = [answer for answer in answers if answer.status_code == 200]
    assert winner.headers["ETag"] != seen.headers["ETag"]
