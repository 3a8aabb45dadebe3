"""Personal data stays where it belongs: not in logs, events, refusals, or plain in the database."""

import asyncio
import logging

import asyncpg
import pytest
from validate_docbr import CPF

from services.customers.infrastructure.settings import CustomersSettings
from tests.fixtures.services import ServiceClient
from tests.integration.customers.conftest import INDEX_KEY, MASTER_KEY, Serve
from tests.integration.customers.purchases import events

DOCUMENT = CPF().generate()
CANARY = {
    "name": "Zuleica Canaryname",
    "email": "zuleica.canarymail@example.com",
    "phone": "+5511987651234",
    "document": DOCUMENT,
}
TRACES = ["canaryname", "canarymail", "987651234", DOCUMENT]


def leaks(content: str) -> list[str]:
    return [trace for trace in TRACES if trace in content.lower()]


async def use_everything(client: ServiceClient) -> list[str]:
    """Every endpoint, accepted and refused; the answers that nobody may see in full."""
    made = await client.post("/customers", json=CANARY, headers={"Idempotency-Key": "k"})
    address = f"/customers/{made.json()['id']}"
    match = {"If-Match": "1"}
    answers = [
        made,
        await client.post("/customers", json=CANARY),
        await client.post("/customers", json={**CANARY, "canaryname": 1}),
        await client.post("/customers", json={**CANARY, "name": ["Canaryname"]}),
        await client.post("/customers", json={**CANARY, "document": DOCUMENT + "1"}),
        await client.post("/customers", json={**CANARY, "email": "canarymail"}),
        await client.post("/customers", json={**CANARY, "phone": "987651234987651234"}),
        await client.post("/customers", content=b'{"name": "Canaryname"'),
        await client.get(address),
        await client.get("/customers"),
        await client.post("/customers/search", json={"document": DOCUMENT}),
        await client.post("/customers/search", json={"email": CANARY["email"]}),
        await client.patch(address, json={"name": CANARY["name"] + " Two"}, headers=match),
        await client.patch(address, json={"name": CANARY["name"]}, headers=match),
        await client.delete(address),
    ]
    # An unknown field's own name is the one thing said back to the client who sent it.
    return [answer.text for answer in answers[:2] + answers[3:]]


async def test_no_personal_value_is_in_logs_events_or_answers(
    customers: ServiceClient,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = await use_everything(customers)
    assert leaks("\n".join(answers)) == []
    assert leaks(str(await events(customers))) == []
    out, err = capfd.readouterr()
    assert leaks(caplog.text + out + err) == []


async def test_no_personal_value_is_plain_in_any_table(
    customers: ServiceClient, customers_database: str
) -> None:
    await customers.post("/customers", json=CANARY, headers={"Idempotency-Key": "k"})
    connection = await asyncpg.connect(customers_database.replace("+asyncpg", ""))
    try:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind = 'r'"
        )
        for (name,) in tables:
            rows = await connection.fetch(f"SELECT * FROM {name}")
            assert leaks(str([list(row.values()) for row in rows])) == [], name
    finally:
        await connection.close()


async def test_a_failing_statement_shows_no_value_to_client_or_log(
    customers: ServiceClient, customers_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection = await asyncpg.connect(customers_database.replace("+asyncpg", ""))
    try:
        await connection.execute("ALTER TABLE customers ADD CHECK (name IS NULL)")
    finally:
        await connection.close()
    answer = await customers.post("/customers", json=CANARY)
    assert answer.status_code == 500
    assert leaks(answer.text + caplog.text) == []


async def test_a_value_sealed_with_an_earlier_key_is_still_read(serve: Serve) -> None:
    async with serve() as before:
        made = (await before.post("/customers", json=CANARY)).json()
    new = "k2:" + "C" * 42 + "A="
    async with serve(data_keys=f"{new},{MASTER_KEY}") as after:
        shown = await after.get(f"/customers/{made['id']}?full=true")
        assert shown.json()["name"] == CANARY["name"]


async def test_two_registrations_of_one_document_at_once_make_one_customer(
    customers: ServiceClient,
) -> None:
    answers = await asyncio.gather(*(customers.post("/customers", json=CANARY) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9


def test_settings_show_no_key(tmp_path: object) -> None:
    settings = CustomersSettings(
        _env_file=None,
        database_url="postgresql://user:secret@host/db",
        role="api",
        data_keys=MASTER_KEY,
        index_key=INDEX_KEY,
        erasure_ledger="ledger",
    )
    assert "AAAA" not in repr(settings)
    assert "BBBB" not in repr(settings)
