"""Personal data that cannot be read affects its own record only, and is not overwritten."""

from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from libs.runtime.crypto import new_key
from tests.fixtures.databases import execute
from tests.fixtures.services import ServiceClient
from tests.integration.customers.conftest import MASTER_KEY, Serve

ANA = {"name": "Ana Lima", "email": "ana@example.com", "phone": "11912345678"}
DOCUMENTS = ("52998224725", "11144477735")
COLUMNS = ("name", "email", "phone", "document")


async def registered(client: ServiceClient, number: int = 0) -> dict[str, Any]:
    body = {**ANA, "document": DOCUMENTS[number], "credit_limit_cents": 1_000}
    answer = await client.post("/customers", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def damage(url: str, customer: dict[str, Any], column: str) -> None:
    """Flip the last byte of the stored value."""
    last = f"octet_length({column}) - 1"
    flipped = f"set_byte({column}, {last}, get_byte({column}, {last}) # 1)"
    await execute(url, f"UPDATE customers SET {column} = {flipped} WHERE id = '{customer['id']}'")


async def stored(url: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        found = await connection.fetch("SELECT name, data_key, document_index FROM customers")
    finally:
        await connection.close()
    return list(found)


@pytest.mark.parametrize(("column", "lost"), [("name", {"name"}), ("data_key", {*COLUMNS})])
async def test_lists_and_look_ups_show_the_others_and_mark_what_cannot_be_read(
    customers: ServiceClient, customers_database: str, column: str, lost: set[str]
) -> None:
    whole, damaged = await registered(customers), await registered(customers, 1)
    await damage(customers_database, damaged, column)
    with capture_logs() as logs:
        answer = await customers.get("/customers")
    assert answer.status_code == 200, answer.text
    newest, oldest = answer.json()["items"]
    assert (oldest["id"], oldest["name"]) == (whole["id"], "A*** L***")
    assert {name for name in COLUMNS if newest[name] is None} == lost
    assert [
        (each["column"], each["id"])
        for each in logs
        if each["event"] == "a sealed value cannot be read"
    ] == [(f"customers.{column}", damaged["id"])]
    found = await customers.post("/customers/search", json={"document": DOCUMENTS[1]})
    assert [each["id"] for each in found.json()["items"]] == [damaged["id"]]
    one = await customers.get(f"/customers/{damaged['id']}", params={"full": "true"})
    assert (one.status_code, one.json()["name"]) == (200, None)


async def test_the_credit_limit_changes_and_the_unreadable_data_stays_as_it_is_stored(
    customers: ServiceClient, customers_database: str
) -> None:
    damaged = await registered(customers)
    await damage(customers_database, damaged, "data_key")
    before = await stored(customers_database)
    answer = await customers.put(
        f"/customers/{damaged['id']}/credit-limit",
        json={"limit_cents": 5_000},
        headers={"If-Match": "1"},
    )
    assert (answer.status_code, answer.json()["credit_limit_cents"]) == (200, 5_000)
    assert await stored(customers_database) == before


async def test_an_edit_that_would_lose_unreadable_data_is_refused_and_one_that_mends_it_is_not(
    customers: ServiceClient, customers_database: str
) -> None:
    damaged = await registered(customers)
    await damage(customers_database, damaged, "name")
    one, version = f"/customers/{damaged['id']}", {"If-Match": "1"}
    refused = await customers.patch(one, json={"email": "lima@example.com"}, headers=version)
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (
        409,
        "personal-data-unreadable",
    )
    mended = await customers.patch(one, json={"name": "Ana Lima"}, headers=version)
    assert (mended.status_code, mended.json()["name"]) == (200, "A*** L***")


async def test_a_customer_whose_data_cannot_be_read_is_erased(
    customers: ServiceClient, customers_database: str
) -> None:
    damaged = await registered(customers)
    await damage(customers_database, damaged, "data_key")
    assert (await customers.delete(f"/customers/{damaged['id']}")).status_code == 204
    assert (await customers.get(f"/customers/{damaged['id']}")).status_code == 404


async def test_unreadable_data_is_mended_when_the_user_sends_it_again(
    customers: ServiceClient, customers_database: str
) -> None:
    path = "/users/018f3f2e-7b2a-7c3d-8e4f-5a6b7c8d9e0f/customer"
    own = {**ANA, "document": DOCUMENTS[0]}
    made = (await customers.put(path, json=own)).json()
    await damage(customers_database, made, "phone")
    again = await customers.put(path, json=own)
    assert (again.status_code, again.json()["phone"][-4:]) == (200, "5678")
    await damage(customers_database, made, "document")
    refused = await customers.put(path, json=own)
    assert refused.json()["type"].endswith(":personal-data-unreadable")


async def test_a_dropped_key_is_reported_at_the_start_and_its_customers_are_marked(
    customers: ServiceClient, serve: Serve
) -> None:
    for number in range(2):
        await registered(customers, number)
    async with serve(data_keys=f"k2:{new_key()}") as client:
        state = await client.down("data keys")
        listed = await client.get("/customers")
    assert state == "down: DATA_KEYS lacks the key 'k1', which sealed 2 values"
    assert [each["name"] for each in listed.json()["items"]] == [None, None]
    async with serve(index_key=new_key()) as client:
        assert "INDEX_KEY" in await client.down("data keys")
    async with serve(data_keys=f"k2:{new_key()},{MASTER_KEY}") as client:
        assert (await client.get("/ready")).json()["checks"]["data keys"] == "ok"
