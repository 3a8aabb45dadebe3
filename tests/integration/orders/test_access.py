"""With AUTH=on each role may do only what the access rules allow."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from services.orders.infrastructure.settings import OrdersSettings
from services.orders.main import build
from tests.fixtures.services import ServiceClient, serving
from tests.integration.orders.market import consume, problem

KEY = ec.generate_private_key(ec.SECP256R1())
ME, ANOTHER = uuid4(), uuid4()


@pytest.fixture
async def orders(orders_database: str, tmp_path: Path) -> AsyncIterator[ServiceClient]:
    keys = tmp_path / "keys.json"
    public = ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    keys.write_text(json.dumps({"keys": [{**public, "kid": "1", "alg": "ES256"}]}))
    settings = OrdersSettings(
        _env_file=None,
        database_url=orders_database,
        role="api",
        auth="on",
        jwks_url=str(keys),
    )
    async with serving(build(settings)) as client:
        yield client


def as_(*roles: str, customer: UUID | None = None, tenant: str = "tenant-1") -> dict[str, str]:
    """Return the headers of a caller with these roles."""
    claims: dict[str, Any] = {
        "iss": "mercado-veiculo",
        "aud": "mercado-veiculo",
        "exp": int(time.time()) + 3600,  # some are made when this module is imported
        "sub": f"{roles}",
        "tenant": tenant,
        "roles": list(roles),
    }
    if customer is not None:
        claims["customer_id"] = str(customer)
    token = jwt.encode(claims, KEY, algorithm="ES256", headers={"kid": "1"})
    return {"Authorization": f"Bearer {token}", "X-Tenant-Id": tenant}


BUYER = as_("buyer", customer=ME)
OTHER_BUYER = as_("buyer", customer=ANOTHER)
SELLER, OPERATOR, ADMIN = as_("seller"), as_("operator"), as_("admin")


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


def wish(customer: UUID = ME) -> dict[str, object]:
    return {"customer_id": str(customer), "vehicle_id": str(uuid4()), "total_cents": 1}


async def bought(orders: ServiceClient) -> str:
    answer = await orders.post("/purchase", headers=BUYER | key(), json=wish())
    assert answer.status_code == 202, answer.text
    return str(answer.json()["transaction_id"])


async def test_without_a_token_nothing_is_answered(orders: ServiceClient) -> None:
    problem(await orders.get("/purchases"), 401, "unauthenticated")
    problem(await orders.post("/purchase", headers=key(), json=wish()), 401, "unauthenticated")
    answer = await orders.get("/orders", headers={"X-Tenant-Id": "tenant-1"})
    problem(answer, 401, "unauthenticated")


async def test_a_buyer_buys_in_the_own_name_only(orders: ServiceClient) -> None:
    await bought(orders)
    for caller, code in (
        (BUYER, "not-your-customer"),
        (as_("buyer"), "not-your-customer"),
        (SELLER, "forbidden"),
        (OPERATOR, "forbidden"),
    ):
        answer = await orders.post("/purchase", headers=caller | key(), json=wish(ANOTHER))
        problem(answer, 403, code)
    answer = await orders.post("/purchase", headers=ADMIN | key(), json=wish(ANOTHER))
    assert answer.status_code == 202


async def test_an_order_that_names_no_customer_is_the_staffs(orders: ServiceClient) -> None:
    for caller, status in [(BUYER, 403), (SELLER, 403), (OPERATOR, 201), (ADMIN, 201)]:
        answer = await orders.post("/orders", headers=caller | key(), json={})
        assert answer.status_code == status
    mine = {"customerId": str(ME), "vehicleId": str(uuid4())}
    order = (await orders.post("/orders", headers=BUYER | key(), json=mine)).json()
    path = f"/orders/{order['id']}/confirm"
    for caller, status in [(OTHER_BUYER, 404), (SELLER, 403), (OPERATOR, 403), (BUYER, 200)]:
        answer = await orders.patch(
            path, headers=caller | {"If-Match": "1"}, json={"totalCents": 1}
        )
        assert answer.status_code == status


async def test_a_buyer_sees_only_the_own_orders_and_the_staff_sees_all(
    orders: ServiceClient,
) -> None:
    order_id = await bought(orders)
    paths = [f"/orders/{order_id}", f"/saga-states/{order_id}"]
    for path in paths:
        for caller, status in [(BUYER, 200), (OTHER_BUYER, 404), (OPERATOR, 200), (ADMIN, 200)]:
            assert (await orders.get(path, headers=caller)).status_code == status
        problem(await orders.get(path, headers=SELLER), 403, "forbidden")
    for path in ("/orders", "/purchases"):
        for caller, seen in [(BUYER, 1), (OTHER_BUYER, 0), (OPERATOR, 1)]:
            found = await orders.get(path, headers=caller)
            assert len(found.json()["items"]) == seen
        problem(await orders.get(path, headers=SELLER), 403, "forbidden")
    foreign = await orders.get(f"/purchases?customer={ME}", headers=OTHER_BUYER)
    problem(foreign, 403, "not-your-customer")


async def test_only_the_buyer_or_an_admin_cancels(orders: ServiceClient) -> None:
    order_id = await bought(orders)
    path = f"/purchases/{order_id}/cancel"
    for caller, status in [(SELLER, 403), (OPERATOR, 403), (OTHER_BUYER, 404), (BUYER, 202)]:
        assert (await orders.post(path, headers=caller)).status_code == status
    assert (await orders.post(path, headers=ADMIN)).status_code == 202


@pytest.mark.parametrize("closing", [BUYER, OPERATOR, ADMIN], ids=["buyer", "operator", "admin"])
async def test_the_buyer_or_the_staff_closes_a_completed_purchase(
    orders: ServiceClient, closing: dict[str, str]
) -> None:
    order_id = await bought(orders)
    path = f"/orders/{order_id}/close"
    problem(await orders.post(path, headers=closing), 409, "purchase-not-completed")
    await consume(orders, "vehicle.sold.v1", UUID(order_id))
    for caller, status in [(OTHER_BUYER, 404), (as_("buyer"), 403), (SELLER, 403), (closing, 200)]:
        assert (await orders.post(path, headers=caller)).status_code == status


async def test_no_endpoint_touches_another_tenants_order(orders: ServiceClient) -> None:
    order_id = await bought(orders)
    foreign = as_("buyer", "operator", "admin", customer=ME, tenant="tenant-2")
    for method, path, more, json_body in [
        ("GET", f"/orders/{order_id}", {}, None),
        ("GET", f"/saga-states/{order_id}", {}, None),
        ("PATCH", f"/orders/{order_id}/confirm", {"If-Match": "2"}, {"totalCents": 1}),
        ("POST", f"/orders/{order_id}/close", {}, None),
        ("POST", f"/purchases/{order_id}/cancel", {}, None),
    ]:
        answer = await orders.request(method, path, headers=foreign | more, json=json_body)
        assert answer.status_code == 404, path
    mixed = BUYER | {"X-Tenant-Id": "tenant-2"}
    problem(await orders.get(f"/orders/{order_id}", headers=mixed), 403, "other-tenant")
