"""Every endpoint and every refusal of customers work on a real database."""

from typing import Any
from uuid import uuid4

import pytest

from libs.kernel.ids import uuid7
from tests.fixtures.services import ServiceClient
from tests.integration.customers.purchases import (
    ANA,
    BRUNO,
    confirmed,
    deliver,
    events,
    register,
)

PROBLEM = "urn:mercado-veiculo:problem:"


async def test_a_registered_customer_is_answered_masked_with_its_address(
    customers: ServiceClient,
) -> None:
    answer = await customers.post("/customers", json={**ANA, "credit_limit_cents": 5_000})
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Location"] == f"/customers/{body['id']}"
    assert (body["name"], body["document"]) == ("A*** S***", "***.982.***-**")
    assert (body["email"], body["phone"]) == ("a***@e***.com", "**********5678")
    assert (body["credit_limit_cents"], body["available_cents"]) == (5_000, 5_000)
    assert (body["reserved_cents"], body["consumed_cents"], body["version"]) == (0, 0, 1)
    (event,) = await events(customers)
    assert (event["type"], event["subject"]) == ("customer.registered.v1", body["id"])


async def test_an_admin_may_ask_for_the_full_data(customers: ServiceClient) -> None:
    customer = await register(customers)
    shown = (await customers.get(f"/customers/{customer['id']}?full=true")).json()
    assert (shown["name"], shown["email"]) == ("Ana Souza", "ana@example.com")
    assert (shown["phone"], shown["document"]) == ("+5511912345678", "52998224725")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"document": "52998224724"}, "document"),
        ({"email": "ana"}, "email"),
        ({"phone": "12"}, "phone"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 255}, "name"),
        ({"credit_limit_cents": -1}, "credit_limit_cents"),
        ({"credit_limit_cents": 1.5}, "credit_limit_cents"),
        ({"colour": "red"}, "colour"),
        ({"name": None}, "name"),
    ],
)
async def test_a_registration_that_breaks_a_rule_names_the_field(
    customers: ServiceClient, change: dict[str, Any], field: str
) -> None:
    answer = await customers.post("/customers", json={**ANA, **change})
    problem = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
    named = problem.get("field") or problem["errors"][0]["field"]
    assert named == field
    assert await events(customers) == []


async def test_a_document_is_unique_in_its_tenant_however_it_is_written(
    customers: ServiceClient,
) -> None:
    await register(customers)
    again = {**BRUNO, "document": "52998224725"}
    refused = await customers.post("/customers", json=again)
    assert (refused.status_code, refused.json()["type"]) == (409, PROBLEM + "document-taken")
    assert refused.json()["field"] == "document"
    await register(customers, again, tenant="other")


async def test_the_same_idempotency_key_registers_once(customers: ServiceClient) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await customers.post("/customers", json=ANA, headers=headers)
    second = await customers.post("/customers", json=ANA, headers=headers)
    other = await customers.post("/customers", json=BRUNO, headers=headers)
    assert (second.status_code, second.content) == (201, first.content)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert other.status_code == 422
    assert len(await events(customers)) == 1


async def test_an_edit_needs_the_version_read_and_makes_the_next(customers: ServiceClient) -> None:
    address = f"/customers/{(await register(customers))['id']}"
    change = {"email": "ana.lima@example.com", "name": "Ana Lima"}
    assert (await customers.patch(address, json=change)).status_code == 428
    stale = await customers.patch(address, json=change, headers={"If-Match": '"2"'})
    assert stale.status_code == 412
    edited = await customers.patch(address, json=change, headers={"If-Match": '"1"'})
    assert (edited.status_code, edited.headers["ETag"]) == (200, '"2"')
    full = (await customers.get(address + "?full=true")).json()
    assert (full["name"], full["email"]) == ("Ana Lima", "ana.lima@example.com")
    event = (await events(customers))[-1]
    assert (event["type"], event["data"]["changed"]) == ("customer.updated.v1", ["email", "name"])
    assert int(event["sequence"]) == 2
    found = await customers.post("/customers/search", json={"email": "ana.lima@example.com"})
    assert len(found.json()["items"]) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"document": "11144477735"}, "document"),
        ({"email": "no"}, "email"),
        ({"phone": None}, "phone"),
        ({"credit_limit_cents": 1}, "credit_limit_cents"),
    ],
)
async def test_an_edit_that_breaks_a_rule_changes_nothing(
    customers: ServiceClient, change: dict[str, Any], field: str
) -> None:
    customer = await register(customers)
    answer = await customers.patch(
        f"/customers/{customer['id']}", json=change, headers={"If-Match": "1"}
    )
    problem = answer.json()
    assert answer.status_code == 422
    assert (problem.get("field") or problem["errors"][0]["field"]) == field
    assert (await customers.get(f"/customers/{customer['id']}")).json() == customer


async def test_the_limit_moves_and_stops_at_what_is_in_use(customers: ServiceClient) -> None:
    customer = (await register(customers, limit=10_000))["id"]
    await deliver(customers, confirmed(uuid7(), customer, 6_000))
    address = f"/customers/{customer}/credit-limit"
    headers = {"If-Match": "1"}
    refused = await customers.put(address, json={"limit_cents": 5_999}, headers=headers)
    assert (refused.status_code, refused.json()["field"]) == (409, "limit_cents")
    assert refused.json()["type"] == PROBLEM + "credit-limit-below-use"
    assert "6000" in refused.json()["detail"]
    least = await customers.put(address, json={"limit_cents": 6_000}, headers=headers)
    assert (least.status_code, least.json()["available_cents"]) == (200, 0)
    stale = await customers.put(address, json={"limit_cents": 7_000}, headers=headers)
    assert stale.status_code == 412
    assert (await customers.put(address, json={"limit_cents": 1})).status_code == 428


async def test_a_reservation_makes_no_new_version(customers: ServiceClient) -> None:
    customer = (await register(customers))["id"]
    await deliver(customers, confirmed(uuid7(), customer))
    assert (await customers.get(f"/customers/{customer}")).headers["ETag"] == '"1"'


async def test_the_list_goes_page_by_page_newest_first(customers: ServiceClient) -> None:
    documents = ["52998224725", "11144477735", "11222333000181"]
    made = [await register(customers, {**ANA, "document": each}) for each in documents]
    await register(customers, BRUNO, tenant="other")
    first = (await customers.get("/customers?limit=2")).json()
    rest = (await customers.get("/customers", params={"limit": 2, "cursor": first["next"]})).json()
    assert [each["id"] for each in first["items"] + rest["items"]] == [
        each["id"] for each in reversed(made)
    ]
    assert rest["next"] is None
    assert first["items"][0]["name"] == "A*** S***"
    forged = await customers.get("/customers", params={"cursor": "forged"})
    assert (forged.status_code, forged.json()["field"]) == (400, "cursor")


async def test_a_customer_is_found_by_document_or_email(customers: ServiceClient) -> None:
    ana = await register(customers)
    await register(customers, BRUNO)
    for wanted in ({"document": "529.982.247-25"}, {"email": "ANA@Example.com"}):
        found = await customers.post("/customers/search", json=wanted)
        assert found.json() == {"items": [ana]}
    elsewhere = await customers.post(
        "/customers/search", json={"email": ANA["email"]}, headers={"X-Tenant-Id": "other"}
    )
    assert elsewhere.json() == {"items": []}


@pytest.mark.parametrize("wanted", [{}, {"document": "1"}, {"document": "1", "email": "a@b.co"}])
async def test_a_search_without_one_proper_key_is_refused(
    customers: ServiceClient, wanted: dict[str, str]
) -> None:
    assert (await customers.post("/customers/search", json=wanted)).status_code == 422


async def test_another_tenants_customer_is_not_found_anywhere(customers: ServiceClient) -> None:
    address = f"/customers/{(await register(customers))['id']}"
    other = {"X-Tenant-Id": "other", "If-Match": "1"}
    answers = [
        await customers.get(address, headers=other),
        await customers.patch(address, json={"name": "Eve"}, headers=other),
        await customers.put(address + "/credit-limit", json={"limit_cents": 1}, headers=other),
        await customers.delete(address, headers=other),
    ]
    assert {(a.status_code, a.json()["type"]) for a in answers} == {
        (404, PROBLEM + "customer-not-found")
    }


async def test_an_unknown_or_malformed_id_is_refused(customers: ServiceClient) -> None:
    assert (await customers.get(f"/customers/{uuid4()}")).status_code == 404
    assert (await customers.get("/customers/1")).status_code == 422
