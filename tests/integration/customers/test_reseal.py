"""Data keys change while the service runs: a new key comes, re-seal uses it, the old key goes."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from libs.runtime import crypto
from libs.runtime.crypto import new_key
from libs.runtime.secret_file_settings import FromFile
from tests.fixtures.databases import execute
from tests.fixtures.services import ServiceClient
from tests.integration.customers.conftest import INDEX_KEY, MASTER_KEY, Serve

DOCUMENTS = ("52998224725", "11144477735", "39053344705")
OLD = MASTER_KEY.partition(":")[0]


async def register(client: ServiceClient, number: int) -> Any:
    answer = await client.post(
        "/customers",
        json={
            "name": f"Ana {number}",
            "email": f"ana{number}@example.com",
            "phone": "11912345678",
            "document": DOCUMENTS[number],
            "credit_limit_cents": 1_000,
        },
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def keys_used(database: str) -> set[str]:
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        rows = await connection.fetch(
            "SELECT DISTINCT convert_from(substring(data_key, 2, get_byte(data_key, 0)), 'UTF8')"
            " FROM customers"
        )
    finally:
        await connection.close()
    return {row[0] for row in rows}


async def reseal(database: str, file: Path) -> tuple[int, list[str]]:
    """Return the command's exit code, and the lines that it prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.customers.main", "re-seal"),
        env={
            **os.environ,
            "DATABASE_URL": database,
            "ROLE": "api",
            "DATA_KEYS_FILE": str(file),
            "INDEX_KEY": INDEX_KEY,
            "ERASURE_LEDGER": str(file.with_name("ledger")),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode().splitlines()


def write(file: Path, text: str) -> str:
    draft = file.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(file)
    return text


async def test_an_old_key_is_replaced_while_the_service_runs(
    serve: Serve, customers_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crypto, "LOOK_AGAIN_SECONDS", 0.0)
    file = tmp_path / "keys"
    new = f"new:{new_key()}"
    text = write(file, MASTER_KEY)
    async with serve(data_keys=FromFile(str(file), text)) as customers:
        made = [await register(customers, number) for number in range(2)]
        write(file, f"{new},{MASTER_KEY}")
        made.append(await register(customers, 2))
        assert await keys_used(customers_database) == {OLD, "new"}
        code, lines = await reseal(customers_database, file)
        assert (code, await keys_used(customers_database)) == (0, {"new"})
        assert lines[0].endswith(" values sealed anew with the key 'new'")
        assert lines[1].startswith(f"the key '{OLD}' is unused: take it out of DATA_KEYS")
        assert await reseal(customers_database, file) == (
            0,
            ["0 values sealed anew with the key 'new'", lines[1]],
        )
        write(file, new)
        for number, customer in enumerate(made):
            shown = await customers.get(f"/customers/{customer}?full=true")
            assert shown.json()["name"] == f"Ana {number}"


async def test_a_value_that_cannot_be_opened_stays_and_keeps_its_key_in_use(
    serve: Serve, customers_database: str, tmp_path: Path
) -> None:
    async with serve() as customers:
        damaged, erased = [await register(customers, number) for number in range(2)]
        gone = await customers.delete(f"/customers/{erased}", headers={"If-Match": "1"})
        assert gone.status_code < 300, gone.text
    last = "octet_length(data_key) - 1"
    flipped = f"set_byte(data_key, {last}, get_byte(data_key, {last}) # 1)"
    await execute(
        customers_database, f"UPDATE customers SET data_key = {flipped} WHERE id = '{damaged}'"
    )
    file = tmp_path / "keys"
    write(file, f"new:{new_key()},{MASTER_KEY}")
    code, lines = await reseal(customers_database, file)
    assert (code, lines) == (
        1,
        [
            "0 values sealed anew with the key 'new'",
            f"the key '{OLD}' still seals 1 of customers.data_key: they cannot be opened",
        ],
    )
