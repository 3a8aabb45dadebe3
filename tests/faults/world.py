"""Runs the chain between proxies, with a database for each service and its own vhost."""

import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg
from yarl import URL

from libs.messaging import topology
from tests.faults import chain
from tests.faults.load import Load, steady
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import Proxy, proxy
from tests.fixtures.servers import PostgresServer, fresh_database
from tests.fixtures.services import ServiceClient, serving

Database = asyncpg.Connection


@dataclass
class World:
    """`postgres` and `rabbitmq` are the lines to the servers. Everything else goes past them."""

    postgres: Proxy
    rabbitmq: Proxy
    tills: ServiceClient
    ledger: ServiceClient
    tills_database: Database
    ledger_database: Database
    administrator: Database
    role: str
    names: tuple[str, str]
    broker: str

    @property
    def databases(self) -> tuple[Database, Database]:
        return self.tills_database, self.ledger_database

    async def alter_databases(self, change: str) -> None:
        for name in self.names:
            await self.administrator.execute(f"ALTER DATABASE {name} {change}")

    async def end_sessions(self) -> None:
        """End all sessions, as an operator or a restart does. The sessions of the test go on."""
        await self.administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", self.role
        )

    @asynccontextmanager
    async def under_load(self) -> AsyncIterator[Load]:
        """Check that the chain works before the block, and that all that was accepted is finished
        after it, when the block's fault is over.
        """
        async with steady(self.tills) as load:
            await self._some_more(load)
            yield load
            await self._some_more(load)
        await self.finishes(load)

    async def _some_more(self, load: Load, count: int = 20) -> None:
        enough = len(load.accepted) + count

        async def accepted() -> bool:
            return len(load.accepted) >= enough

        await eventually(accepted, timeout=60)

    async def finishes(self, load: Load) -> None:
        """Check that every accepted booking has each effect once, and nothing else has."""
        accepted = sorted(taking for takings in load.accepted.values() for taking in takings)
        await eventually(lambda: self._entered(len(accepted)), timeout=60)
        await eventually(self._at_rest, timeout=60)
        assert sorted(await self._takings("takings", "id")) == accepted
        for table, database in (("entries", self.ledger_database), ("entered", None)):
            found = Counter(await self._takings(table, "taking_id", database))
            assert found == Counter(accepted), table

    async def _entered(self, count: int) -> bool:
        found = await self.tills_database.fetchval("SELECT count(*) FROM entered")
        assert found >= count, f"{found} of {count}"
        return True

    async def _takings(
        self, table: str, column: str, database: Database | None = None
    ) -> list[UUID]:
        rows = await (database or self.tills_database).fetch(f"SELECT {column} AS id FROM {table}")
        return [UUID(bytes=row["id"].bytes) for row in rows]

    async def _at_rest(self) -> bool:
        """Check that nothing waits, both services are ready, and no dead letter exists."""
        for database in self.databases:
            assert await database.fetchval("SELECT count(*) FROM outbox") == 0
        for service in (self.tills, self.ledger):
            answer = await service.get("/ready")
            assert answer.status_code == 200, answer.text
        return True


@asynccontextmanager
async def a_role(server: PostgresServer) -> AsyncIterator[tuple[Database, str, str]]:
    """Yield the superuser's connection, and name and password of a role without its rights."""
    name, password = f"test_{uuid4().hex}", secrets.token_hex(8)
    administrator = await asyncpg.connect(server.url)
    try:
        await administrator.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        yield administrator, name, password
        await administrator.execute(f"DROP ROLE {name}")
    finally:
        await administrator.close()


@asynccontextmanager
async def running_world(server: PostgresServer, broker: str) -> AsyncIterator[World]:
    """Yield a world with its own databases and role, and the topology on the vhost `broker`."""
    await topology.apply(broker, topology.topology_of([chain.tills(), chain.ledger()]))
    async with AsyncExitStack() as stack:
        administrator, role, password = await stack.enter_async_context(a_role(server))
        postgres, _ = await stack.enter_async_context(proxy(server.url))
        rabbitmq, broker_through = await stack.enter_async_context(proxy(broker))
        databases, through = [], []
        for metadata in (chain.TILLS_DATABASE, chain.LEDGER_DATABASE):
            url = await stack.enter_async_context(fresh_database(server))
            await chain.create_tables(url, metadata)
            database = await asyncpg.connect(url.replace("+asyncpg", ""))
            stack.push_async_callback(database.close)
            await database.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
            await database.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}")
            await database.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {role}")
            databases.append(database)
            place = URL(url).with_user(role).with_password(password)
            through.append(place.with_host("127.0.0.1").with_port(postgres.port))
        tills = chain.TillsSettings(
            _env_file=None,
            database_url=str(through[0]),
            rabbitmq_url=broker_through,
            outbox_retention_days=1,
        )
        ledger = chain.LedgerSettings(
            _env_file=None, database_url=str(through[1]), rabbitmq_url=broker_through
        )
        yield World(
            postgres,
            rabbitmq,
            await stack.enter_async_context(serving(chain.build_tills(tills))),
            await stack.enter_async_context(serving(chain.build_ledger(ledger))),
            databases[0],
            databases[1],
            administrator,
            role,
            (through[0].name, through[1].name),
            broker,
        )
