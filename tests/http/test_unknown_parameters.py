"""A query parameter that an endpoint does not know is refused, and those it knows are named."""

import pytest

from deploy.services import SERVICES
from tests.fixtures.whole_market import WholeMarket, app_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
each_service = pytest.mark.parametrize("service", [spec.name for spec in SERVICES])
SOME_ID = "018f3f2e-7b2a-7c3d-8e4f-5a6b7c8d9e0f"


@each_service
async def test_every_endpoint_refuses_it_before_anything_is_done(
    market: WholeMarket, service: str
) -> None:
    client = market.services[service]
    document = app_of(client).openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            known = [
                each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"
            ]
            address = path
            for each in operation.get("parameters", ()):
                address = address.replace(f"{{{each['name']}}}", SOME_ID)
            answer = await client.request(method, address, params={"nonsense": "1"})
            problem = answer.json()
            assert (answer.status_code, problem["type"], problem["field"]) == (
                400,
                "urn:mercado-veiculo:problem:unknown-parameter",
                "nonsense",
            ), f"{method} {path}: {answer.text}"
            assert all(name in problem["detail"] for name in known), problem["detail"]
            assert "400" in operation["responses"], f"{method} {path}"


async def test_a_mistyped_order_is_not_answered_in_another_order(market: WholeMarket) -> None:
    answer = await market.services["vehicles"].get("/vehicles", params={"sort": "-price"})
    assert answer.status_code == 400
    assert answer.json()["detail"] == (
        "There is no parameter sort here: there are cursor, limit, make, model, order, price_max,"
        " price_min, q, status, year_max, year_min."
    )


async def test_a_parameter_that_comes_twice_is_refused(market: WholeMarket) -> None:
    answer = await market.services["vehicles"].get("/vehicles?limit=1&order=price&limit=2")
    assert (answer.status_code, answer.json()["field"]) == (400, "limit")
    assert answer.json()["type"].endswith(":repeated-parameter")


async def test_a_link_to_a_page_may_bring_parameters_of_its_own(market: WholeMarket) -> None:
    answer = await market.services["portal"].get("/sign-in", params={"utm_source": "letter"})
    assert answer.status_code == 200
