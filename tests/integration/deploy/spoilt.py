"""Keeps the filled databases of all services, of which a test spoils copies."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from libs.messaging.saga.choreography import read
from libs.runtime.settings import CHOREOGRAPHY
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import migrated
from tests.integration.deploy.purchases import PURCHASES, identifier
from tests.integration.deploy.records import fill

PARTICIPANTS = read(CHOREOGRAPHY).participants

IDS = {"nobody": identifier("nobody")}
"""A statement may name these: `{closed}` is an order, `{closed_customer}` its customer."""
for _name in PURCHASES:
    IDS[_name] = identifier(_name)
    IDS |= {
        f"{_name}_{what}": identifier(_name, what) for what in ("customer", "vehicle", "seller")
    }


class Spoilt:
    """`Spoilt` has the databases' URLs. A test that spoils one uses its own copy from then on."""

    def __init__(self, server: PostgresServer, filled: Mapping[str, str]) -> None:
        self.databases = dict(filled)
        self._server = server
        self._filled = filled
        self._copies = AsyncExitStack()

    async def spoil(self, service: str, statements: str) -> None:
        if self.databases[service] == self._filled[service]:
            template = urlsplit(self._filled[service]).path[1:]
            copy = database(self._server, f"TEMPLATE {template}")
            self.databases[service] = await self._copies.enter_async_context(copy)
        connection = await asyncpg.connect(self.databases[service])
        try:
            await connection.execute(statements.format(**IDS))
        finally:
            await connection.close()

    async def close(self) -> None:
        await self._copies.aclose()


@asynccontextmanager
async def filled_databases(server: PostgresServer) -> AsyncIterator[Mapping[str, str]]:
    """Yield the asyncpg URLs of filled databases by service."""
    async with empty_databases(server) as databases:
        await fill(databases, PARTICIPANTS)
        yield databases


@asynccontextmanager
async def empty_databases(server: PostgresServer) -> AsyncIterator[Mapping[str, str]]:
    """Yield the asyncpg URLs by service of databases with the newest schema and no rows."""
    async with AsyncExitStack() as stack:
        databases: dict[str, str] = {}
        for participant in PARTICIPANTS:
            url = await stack.enter_async_context(database(server))
            await migrated(participant.name, url.replace("postgresql", "postgresql+asyncpg", 1))
            databases[participant.name] = url
        yield databases


@asynccontextmanager
async def database(server: PostgresServer, made_from: str = "") -> AsyncIterator[str]:
    name = f"test_{uuid4().hex}"
    connection = await asyncpg.connect(server.url)
    try:
        await connection.execute(f"CREATE DATABASE {name} {made_from}")
        try:
            yield urlunsplit(urlsplit(server.url)._replace(path=f"/{name}"))
        finally:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()
