"""With AUTH=on each role may do to customers only what the access rules allow."""

from typing import Any
from uuid import uuid4

import pytest

from services.tokens import Issuer
from tests.fixtures.callers import caller
from tests.fixtures.services import ServiceClient
from tests.integration.customers.conftest import STARTING_LIMIT
from tests.integration.customers.purchases import ANA, BRUNO


@pytest.fixture
def headers(issuer: Issuer) -> Any:
    def make(*roles: str, customer: Any = None, tenant: str = "default") -> dict[str, str]:
        who = caller(issuer, *roles, tenant=tenant, customer_id=customer)
        return {**who, "If-Match": "1"}

    return make


@pytest.fixture
async def ana(guarded: ServiceClient, headers: Any) -> str:
    answer = await guarded.post(
        "/customers", json={**ANA, "credit_limit_cents": 500}, headers=headers("admin")
    )
    return str(answer.json()["id"])


async def test_without_a_token_nothing_is_answered(guarded: ServiceClient, ana: str) -> None:
    for method, path in (
        ("GET", "/customers"),
        ("POST", "/customers"),
        ("POST", "/customers/search"),
        ("GET", f"/customers/{ana}"),
        ("PATCH", f"/customers/{ana}"),
        ("PUT", f"/customers/{ana}/credit-limit"),
        ("PUT", f"/customers/{ana}/credit-request"),
        ("POST", f"/customers/{ana}/credit-request/decline"),
        ("GET", "/credit-requests"),
        ("DELETE", f"/customers/{ana}"),
    ):
        answer = await guarded.request(method, path, json={})
        assert answer.status_code == 401, (method, path)


async def test_a_buyer_registers_the_own_record_with_the_starting_limit_and_no_other(
    guarded: ServiceClient, headers: Any
) -> None:
    body = {**BRUNO, "credit_limit_cents": 1}
    refused = await guarded.post("/customers", json=body, headers=headers("buyer"))
    assert (refused.status_code, refused.json()["field"]) == (403, "credit_limit_cents")
    done = await guarded.post("/customers", json=BRUNO, headers=headers("buyer"))
    assert (done.status_code, done.json()["credit_limit_cents"]) == (201, STARTING_LIMIT)
    twice = await guarded.post("/customers", json=ANA, headers=headers("buyer", customer=uuid4()))
    assert twice.status_code == 403


@pytest.mark.parametrize("role", ["seller", "operator"])
async def test_sellers_and_operators_register_nobody(
    guarded: ServiceClient, headers: Any, role: str
) -> None:
    answer = await guarded.post("/customers", json=ANA, headers=headers(role))
    assert answer.status_code == 403


async def test_a_buyer_sees_and_edits_the_own_record_only(
    guarded: ServiceClient, headers: Any, ana: str
) -> None:
    own, other = headers("buyer", customer=ana), headers("buyer", customer=uuid4())
    address = f"/customers/{ana}"
    assert (await guarded.get(address, headers=own)).json()["name"] == "A*** S***"
    assert (await guarded.get(address, headers=other)).status_code == 404
    change = {"name": "Ana Lima"}
    assert (await guarded.patch(address, json=change, headers=other)).status_code == 404
    assert (await guarded.patch(address, json=change, headers=own)).status_code == 200
    in_full = await guarded.get(address + "?full=true", headers=own)
    assert (in_full.json()["name"], in_full.json()["document"]) == ("Ana Lima", "52998224725")
    assert (await guarded.get(address + "?full=true", headers=other)).status_code == 404
    assert (await guarded.get("/customers", headers=own)).status_code == 403
    search = await guarded.post("/customers/search", json={"email": "a@b.co"}, headers=own)
    assert search.status_code == 403


async def test_an_operator_reads_masked_and_changes_nothing(
    guarded: ServiceClient, headers: Any, ana: str
) -> None:
    operator, address = headers("operator"), f"/customers/{ana}"
    assert (await guarded.get(address, headers=operator)).json()["name"] == "A*** S***"
    assert (await guarded.get("/customers", headers=operator)).status_code == 200
    search = await guarded.post("/customers/search", json={"email": ANA["email"]}, headers=operator)
    assert search.status_code == 200
    refused = [
        await guarded.get(address + "?full=true", headers=operator),
        await guarded.patch(address, json={"name": "Eve"}, headers=operator),
        await guarded.put(address + "/credit-limit", json={"limit_cents": 1}, headers=operator),
        await guarded.delete(address, headers=operator),
    ]
    assert {answer.status_code for answer in refused} == {403}


async def test_a_seller_sees_no_customer(guarded: ServiceClient, headers: Any, ana: str) -> None:
    seller = headers("seller", customer=ana)
    assert (await guarded.get(f"/customers/{ana}", headers=seller)).status_code == 403
    assert (await guarded.get("/customers", headers=seller)).status_code == 403


async def test_an_admin_does_all_of_it(guarded: ServiceClient, headers: Any, ana: str) -> None:
    admin, address = headers("admin"), f"/customers/{ana}"
    full = await guarded.get(address + "?full=true", headers=admin)
    assert full.json()["name"] == "Ana Souza"
    limit = await guarded.put(address + "/credit-limit", json={"limit_cents": 1}, headers=admin)
    assert limit.status_code == 200
    assert (await guarded.delete(address, headers=admin)).status_code == 204


async def test_an_admin_of_another_tenant_finds_nobody(
    guarded: ServiceClient, headers: Any, ana: str
) -> None:
    foreign = headers("admin", tenant="other")
    assert (await guarded.get(f"/customers/{ana}", headers=foreign)).status_code == 404
    assert (await guarded.get("/customers", headers=foreign)).json()["items"] == []
