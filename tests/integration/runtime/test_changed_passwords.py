"""Passwords that change in their files while a service runs count without a restart."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest

from libs.messaging import topology
from libs.runtime.database import check_database
from libs.runtime.start_failure import StartFailure
from tests.fixtures.polling import eventually
from tests.fixtures.servers import PostgresServer, RabbitMQServer
from tests.fixtures.services import serving
from tests.integration.runtime.notes import NotesSettings, build


@dataclass
class Account:
    """An `Account` is a role of Postgres and a user of RabbitMQ, with passwords in files."""

    name: str
    database: str
    broker: str
    files: Path
    admin: asyncpg.Connection
    management: httpx.AsyncClient

    def write(self, password: str) -> None:
        for file, url in (("database", self.database), ("broker", self.broker)):
            place = urlsplit(url)
            at = place.netloc.rpartition("@")[2]
            account = f"{self.name}:{password}@{at}"
            draft = self.files / f"{file}.draft"
            draft.write_text(urlunsplit(place._replace(netloc=account)))
            draft.replace(self.files / file)

    async def set(self, password: str) -> None:
        await self.admin.execute(f"ALTER ROLE {self.name} PASSWORD '{password}'")
        answer = await self.management.put(
            f"/api/users/{self.name}", json={"password": password, "tags": ""}
        )
        answer.raise_for_status()

    async def end_connections(self) -> None:
        """End the connections of the database and of the broker."""
        await self.admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", self.name
        )
        answer = await self.management.delete(f"/api/connections/username/{self.name}")
        answer.raise_for_status()


@pytest.fixture
async def account(
    notes_database: str,
    vhost: str,
    postgres_server: PostgresServer,
    rabbitmq_server: RabbitMQServer,
    tmp_path: Path,
) -> AsyncIterator[Account]:
    name, password = f"test_{secrets.token_hex(6)}", secrets.token_hex(8)
    database = notes_database.replace("+asyncpg", "")
    admin = await asyncpg.connect(database)
    async with httpx.AsyncClient(base_url=rabbitmq_server.management_url, timeout=30) as client:
        made = Account(name, database, vhost, tmp_path, admin, client)
        await admin.execute(f"CREATE ROLE {name} LOGIN SUPERUSER")
        try:
            await made.set(password)
            everything = {"configure": ".*", "write": ".*", "read": ".*"}
            place = f"/api/permissions/{urlsplit(vhost).path.removeprefix('/')}/{name}"
            (await client.put(place, json=everything)).raise_for_status()
            made.write(password)
            yield made
        finally:
            await client.delete(f"/api/users/{name}")
            await admin.execute(f"DROP ROLE {name}")
            await admin.close()


@pytest.mark.slow
async def test_a_service_goes_on_with_the_passwords_of_the_moment(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL_FILE", str(account.files / "database"))
    monkeypatch.setenv("RABBITMQ_URL_FILE", str(account.files / "broker"))
    settings = NotesSettings(_env_file=None)
    service = build(settings)
    await topology.apply(account.broker, topology.topology_of(service.choreography.participants))
    async with serving(service) as notes:

        async def ready() -> bool:
            answer = await notes.get("/ready")
            assert answer.status_code == 200, answer.text
            return True

        async def writes() -> bool:  # a pooled connection that was ended gives one 503
            return (await notes.post("/notes", json={"text": "milk"})).status_code == 201

        await eventually(ready)
        for _ in range(2):
            password = secrets.token_hex(8)
            # The server changes first, then the file: a connection in between is tried again.
            await account.set(password)
            later = asyncio.get_running_loop().call_later(0.3, account.write, password)
            await account.end_connections()
            await eventually(writes)
            later.cancel()
            account.write(password)
            await eventually(ready)


async def test_a_password_that_no_file_says_is_refused_as_before(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL_FILE", str(account.files / "database"))
    await account.set(secrets.token_hex(8))
    with pytest.raises(StartFailure, match=f"refuses the user {account.name} or its password"):
        await check_database(NotesSettings(_env_file=None, role="api"))
