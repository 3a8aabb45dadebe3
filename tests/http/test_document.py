"""The OpenAPI documents contain more than FastAPI derives: headers and refusals."""

from typing import Any

import pytest

from deploy.services import SERVICES
from tests.fixtures.whole_market import WholeMarket

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def document(market: WholeMarket, service: str) -> Any:
    return (await market.services[service].get("/openapi.json")).json()


async def test_headers_it_cannot_do_without_are_required_and_refusals_named(
    market: WholeMarket,
) -> None:
    orders = await document(market, "orders")
    confirm = orders["paths"]["/orders/{order_id}/confirm"]["patch"]
    required = {each["name"] for each in confirm["parameters"] if each["required"]}
    assert required == {"order_id", "X-Tenant-Id", "If-Match"}
    statuses = "200 400 401 403 404 408 409 412 413 415 422 428 503"
    assert set(confirm["responses"]) == set(statuses.split())
    assert confirm["security"] == [{"bearer": []}]
    portal = await document(market, "portal")
    audits = portal["paths"]["/api/audits"]["get"]
    assert audits["security"] == [{"bearer": []}, {"session": []}]


@pytest.mark.parametrize("service", [spec.name for spec in SERVICES])
async def test_every_refusal_is_a_problem(market: WholeMarket, service: str) -> None:
    described = await document(market, service)
    assert "HTTPValidationError" not in described["components"]["schemas"]
    for status, answer in described["components"]["responses"].items():
        assert list(answer["content"]) == ["application/problem+json"], status
