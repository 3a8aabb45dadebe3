"""Personal data stays where it belongs: not in logs, events, refusals, or plain in the database."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
from validate_docbr import CPF

from deploy.servers.ports import Ports
from services.customers.infrastructure.settings import CustomersSettings
from tests.fixtures.polling import eventually
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


async def use_everything(client: httpx.AsyncClient) -> list[str]:
    """Call every endpoint, accepted and refused. Returns the answers that must be masked."""
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
    # An answer repeats only the name of an unknown field, to the client that sent it.
    return [answer.text for answer in answers[:2] + answers[3:]]


async def test_no_personal_value_is_in_answers_or_events(customers: ServiceClient) -> None:
    assert leaks("\n".join(await use_everything(customers))) == []
    assert leaks(str(await events(customers))) == []


async def test_no_personal_value_is_in_the_logs_of_the_process(
    customers_database: str, tmp_path: Path
) -> None:
    """The process logs as much as it can, also when a statement fails."""
    async with serving_process(customers_database, tmp_path) as client:
        await use_everything(client)
        async with broken_table(customers_database):
            answer = await client.post("/customers", json=CANARY)
    logs = (tmp_path / "log").read_text(encoding="utf-8")
    assert (answer.status_code, leaks(answer.text)) == (500, [])
    assert "ck_broken" in logs
    assert leaks(logs) == []


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


def test_settings_show_no_key() -> None:
    settings = CustomersSettings(
        _env_file=None,
        database_url="postgresql://user:secret@localhost/db",
        role="api",
        data_keys=MASTER_KEY,
        index_key=INDEX_KEY,
        erasure_ledger="ledger",
    )
    assert "AAAA" not in repr(settings)
    assert "BBBB" not in repr(settings)


@asynccontextmanager
async def broken_table(database: str) -> AsyncIterator[None]:
    """Make every registration fail with an error of the database."""
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        await connection.execute(
            "ALTER TABLE customers ADD CONSTRAINT ck_broken CHECK (id IS NULL) NOT VALID"
        )
        yield
    finally:
        await connection.execute("ALTER TABLE customers DROP CONSTRAINT IF EXISTS ck_broken")
        await connection.close()


@asynccontextmanager
async def serving_process(database: str, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the service as it runs in production. The output is in `folder/log`."""
    ports = Ports()  # the port is held until the process ends
    port = ports.pick()
    settings = {
        "DATABASE_URL": database,
        "ROLE": "api",
        "PORT": str(port),
        "LOG_LEVEL": "DEBUG",
        "DATA_KEYS": MASTER_KEY,
        "INDEX_KEY": INDEX_KEY,
        "ERASURE_LEDGER": str(folder / "ledger"),
    }
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "services.customers.main"),
            env={**os.environ, **settings},
            stdout=log,
            stderr=log,
        )
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
                await eventually(lambda: answers(client), timeout=60)
                yield client
        finally:
            process.terminate()
            await process.wait()


async def answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health")).status_code == 200
    except httpx.TransportError:
        return False
