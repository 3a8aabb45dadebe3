"""A customer requests credit over HTTP, and the admin's list has the request."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.kernel.ids import uuid7
from services.tokens import Issuer
from tests.fixtures.callers import caller
from tests.fixtures.services import ServiceClient
from tests.integration.customers.conftest import STARTING_LIMIT
from tests.integration.customers.purchases import ANA, BRUNO

PROBLEM = "urn:mercado-veiculo:problem:"
WANTED = 2 * STARTING_LIMIT


@pytest.fixture
def headers(issuer: Issuer) -> Any:
    def make(role: str, *, customer: str | None = None, subject: UUID | None = None, **more: str):  # type: ignore[no-untyped-def]
        who = caller(issuer, role, subject=subject or uuid7(), customer_id=customer)
        return {**who, **more}

    return make


async def registered(guarded: ServiceClient, headers: Any, person: dict[str, str]) -> str:
    user = uuid7()
    made = await guarded.put(
        f"/users/{user}/customer", json=person, headers=headers("buyer", subject=user)
    )
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def test_a_request_stands_on_the_list_until_a_new_limit_answers_it(
    guarded: ServiceClient, headers: Any
) -> None:
    first = await registered(guarded, headers, ANA)
    second = await registered(guarded, headers, BRUNO)
    for customer in (second, first):
        asked = await guarded.put(
            f"/customers/{customer}/credit-request",
            json={"wanted_limit_cents": WANTED},
            headers=headers("buyer", customer=customer),
        )
        assert asked.status_code == 200, asked.text
        assert asked.json()["credit_request"]["wanted_limit_cents"] == WANTED
        assert asked.json()["credit_request"]["declined_at"] is None

    admin = headers("admin")
    page = await guarded.get("/credit-requests?limit=1", headers=admin)
    assert [each["id"] for each in page.json()["items"]] == [second]
    assert page.json()["items"][0]["name"].endswith("***")
    rest = await guarded.get(
        f"/credit-requests?limit=1&cursor={page.json()['next']}", headers=admin
    )
    assert [each["id"] for each in rest.json()["items"]] == [first]
    assert rest.json()["next"] is None
    full = await guarded.get("/credit-requests?full=true", headers=admin)
    assert full.json()["items"][1]["name"] == ANA["name"]

    granted = await guarded.put(
        f"/customers/{second}/credit-limit",
        json={"limit_cents": WANTED},
        headers={**admin, "If-Match": str(page.json()["items"][0]["version"])},
    )
    assert granted.status_code == 200, granted.text
    assert granted.json()["credit_request"] is None
    left = await guarded.get("/credit-requests", headers=admin)
    assert [each["id"] for each in left.json()["items"]] == [first]


async def test_a_declined_request_leaves_the_list_and_its_customer_reads_the_answer(
    guarded: ServiceClient, headers: Any
) -> None:
    customer = await registered(guarded, headers, ANA)
    own, admin = headers("buyer", customer=customer), headers("admin", **{"If-Match": "2"})
    path = f"/customers/{customer}/credit-request"
    await guarded.put(path, json={"wanted_limit_cents": WANTED}, headers=own)
    declined = await guarded.post(f"{path}/decline", headers=admin)
    assert declined.status_code == 200, declined.text
    assert (await guarded.get("/credit-requests", headers=admin)).json()["items"] == []
    read = (await guarded.get(f"/customers/{customer}", headers=own)).json()
    assert read["credit_request"]["declined_at"] is not None
    again = await guarded.post(f"{path}/decline", headers=headers("admin", **{"If-Match": "3"}))
    assert (again.status_code, again.json()["type"]) == (409, PROBLEM + "no-credit-request")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"wanted_limit_cents": STARTING_LIMIT}, 422),
        ({"wanted_limit_cents": -1}, 422),
        ({"wanted_limit_cents": 10**12 + 1}, 422),
        ({"wanted_limit_cents": "1000"}, 422),
        ({}, 422),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused_and_names_the_field(
    guarded: ServiceClient, headers: Any, body: dict[str, Any], status: int
) -> None:
    customer = await registered(guarded, headers, ANA)
    answer = await guarded.put(
        f"/customers/{customer}/credit-request",
        json=body,
        headers=headers("buyer", customer=customer),
    )
    assert answer.status_code == status
    assert "wanted_limit_cents" in answer.text


async def test_nobody_asks_in_anothers_name_and_no_buyer_sees_the_list(
    guarded: ServiceClient, headers: Any
) -> None:
    customer = await registered(guarded, headers, ANA)
    path = f"/customers/{customer}/credit-request"
    stranger = headers("buyer", customer=str(uuid4()), **{"If-Match": "1"})
    body = {"wanted_limit_cents": WANTED}
    assert (await guarded.put(path, json=body, headers=stranger)).status_code == 404
    assert (await guarded.post(f"{path}/decline", headers=stranger)).status_code == 403
    assert (await guarded.get("/credit-requests", headers=stranger)).status_code == 403
    operator = headers("operator")
    assert (await guarded.get("/credit-requests", headers=operator)).status_code == 200
    assert (await guarded.get("/credit-requests?full=true", headers=operator)).status_code == 403
