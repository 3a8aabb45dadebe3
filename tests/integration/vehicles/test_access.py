"""Each role may do only what the access rules allow, and only admins and the seller
see document numbers.
"""

from typing import Any

import pytest

from tests.integration.vehicles.conftest import Vehicles, body

PAPERS = ("plate", "chassis_number", "renavam")
CALLS = {
    "list": ("POST", "/vehicles"),
    "read": ("GET", "/vehicles/{id}"),
    "browse": ("GET", "/vehicles"),
    "count_makes": ("GET", "/makes"),
    "list_own": ("GET", "/sellers/{seller_id}/vehicles"),
    "edit": ("PATCH", "/vehicles/{id}"),
    "mark_as_sold": ("PATCH", "/vehicles/{id}/mark_as_sold"),
    "withdraw": ("POST", "/vehicles/{id}/withdraw"),
}
READS = {"read", "browse", "count_makes"}
MAY = {
    "buyer": READS,
    "operator": READS | {"list_own"},
    "seller": READS | {"list", "list_own", "edit", "withdraw"},
    "admin": set(CALLS),
    "nobody": READS,
}


async def call(
    vehicles: Vehicles, name: str, listed: dict[str, Any], headers: dict[str, str]
) -> Any:
    method, path = CALLS[name]
    payload = {
        "list": body(seller_id=listed["seller_id"]),
        "edit": {"colour": "verde"},
    }.get(name)
    return await vehicles.client.request(
        method,
        path.format_map(listed),
        json=payload,
        headers=headers | ({"If-Match": "1"} if name != "list" else {}),
    )


@pytest.mark.parametrize("role", MAY)
@pytest.mark.parametrize("name", CALLS)
async def test_each_role_may_do_what_its_row_says(vehicles: Vehicles, role: str, name: str) -> None:
    listed = await vehicles.listed()
    caller = vehicles.caller(role, subject=listed["seller_id"])
    answer = await call(vehicles, name, listed, caller)
    assert (answer.status_code != 403) == (name in MAY[role]), answer.text
    assert answer.is_success == (name in MAY[role])


@pytest.mark.parametrize("name", ["list", "edit", "withdraw"])
async def test_seller_touches_no_vehicle_of_another_seller(vehicles: Vehicles, name: str) -> None:
    listed = await vehicles.listed()
    answer = await call(vehicles, name, listed, vehicles.caller("seller", subject="another"))
    assert answer.status_code == 403
    assert answer.json()["type"].endswith(":not-your-vehicle")


@pytest.mark.parametrize("name", set(CALLS) - {"list", "browse", "count_makes"})
async def test_vehicle_of_another_tenant_is_not_found(vehicles: Vehicles, name: str) -> None:
    listed = await vehicles.listed()
    answer = await call(vehicles, name, listed, vehicles.caller("admin", tenant="another"))
    assert answer.status_code == 404


async def test_vehicle_of_another_tenant_is_not_listed(vehicles: Vehicles) -> None:
    listed = await vehicles.listed()
    own = await vehicles.client.get("/vehicles", headers=vehicles.admin)
    foreign = await vehicles.client.get(
        "/vehicles", headers=vehicles.caller("admin", tenant=f"{vehicles.tenant}x")
    )
    assert [item["id"] for item in own.json()["items"]] == [listed["id"]]
    assert foreign.json()["items"] == []


async def test_same_papers_may_be_on_the_market_of_two_tenants(vehicles: Vehicles) -> None:
    sent = body()
    for tenant in (vehicles.tenant, f"{vehicles.tenant}x"):
        answer = await vehicles.client.post(
            "/vehicles", json=sent, headers=vehicles.caller("admin", tenant=tenant)
        )
        assert answer.status_code == 201


@pytest.mark.parametrize("role", ["buyer", "seller", "operator", "nobody"])
async def test_papers_are_masked_for_all_but_admin_and_seller(
    vehicles: Vehicles, role: str
) -> None:
    sent = body()
    posted = await vehicles.client.post("/vehicles", json=sent, headers=vehicles.admin)
    path = f"/vehicles/{posted.json()['id']}"
    for place in (path, "/vehicles"):
        answer = await vehicles.client.get(place, headers=vehicles.caller(role))
        assert answer.status_code == 200
        assert not [paper for paper in PAPERS if sent[paper] in answer.text]


async def test_seller_sees_the_papers_of_own_vehicles_only(vehicles: Vehicles) -> None:
    own, foreign = await vehicles.listed(), await vehicles.listed()
    caller = vehicles.caller("seller", subject=own["seller_id"])
    items = (await vehicles.client.get("/vehicles", headers=caller)).json()["items"]
    masked = {item["id"]: item["plate"].startswith("*") for item in items}
    assert masked == {own["id"]: False, foreign["id"]: True}


async def test_caller_without_a_token_is_turned_away(vehicles: Vehicles) -> None:
    assert (await vehicles.client.get("/vehicles")).status_code == 401


async def test_papers_are_in_no_table_in_clear(vehicles: Vehicles) -> None:
    sent = body()
    headers = {**vehicles.admin, "Idempotency-Key": "canary"}
    posted = await vehicles.client.post("/vehicles", json=sent, headers=headers)
    await vehicles.consumes_credit_reserved(posted.json())
    for table in ("vehicles", "reservations", "outbox", "idempotency_keys"):
        rows = await vehicles.client.rows(
            f"SELECT convert_to(t::text, 'UTF8') AS row FROM {table} AS t"
        )
        stored = b"\n".join(bytes(row["row"]) for row in rows)
        for paper in PAPERS:
            clear = sent[paper].encode()
            assert clear not in stored
            assert clear.hex().encode() not in stored
