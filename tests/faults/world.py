"""The chain between proxies, on a database for each service and a vhost of its own."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import UUID

import asyncpg

from libs.messaging import topology
from tests.faults import chain
from tests.faults.load import Load, steady
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import Proxy, proxy
from tests.fixtures.services import ServiceClient, serving

Database = asyncpg.Connection


@dataclass
class World:
    """`postgres` and `rabbitmq` are the lines to the servers; the rest goes past them."""

    postgres: Proxy
    rabbitmq: Proxy
    tills: ServiceClient
    ledger: ServiceClient
    tills_database: Database
    ledger_database: Database
    broker: str

    @property
    def databases(self) -> tuple[Database, Database]:
        return self.tills_database, self.ledger_database

    @asynccontextmanager
    async def under_load(self) -> AsyncIterator[Load]:
        """Before the block the chain works, and after it, when the block's fault is over, all that
        was accepted is finished.
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
        """Every accepted booking has its effects, each once and in its till's order, and nothing
        else has.
        """
        accepted = sorted(taking for takings in load.accepted.values() for taking in takings)
        await eventually(lambda: self._entered(len(accepted)), timeout=60)
        await eventually(self._at_rest, timeout=60)
        assert sorted(await self._takings("takings", "id")) == accepted
        for table, database in (("entries", self.ledger_database), ("entered", None)):
            found = Counter(await self._takings(table, "taking_id", database))
            assert found == Counter(accepted), table
        await self._in_order()

    async def _entered(self, count: int) -> bool:
        found = await self.tills_database.fetchval("SELECT count(*) FROM entered")
        assert found >= count, f"{found} of {count}"
        return True

    async def _takings(
        self, table: str, column: str, database: Database | None = None
    ) -> list[UUID]:
        rows = await (database or self.tills_database).fetch(f"SELECT {column} AS id FROM {table}")
        return [UUID(bytes=row["id"].bytes) for row in rows]

    async def _in_order(self) -> None:
        entries: dict[Any, list[int]] = defaultdict(list)
        query = "SELECT till_id, sequence FROM entries ORDER BY number"
        for row in await self.ledger_database.fetch(query):
            entries[row["till_id"]].append(row["sequence"])
        for sequences in entries.values():
            assert all(after == before + 1 for before, after in pairwise(sequences)), sequences

    async def _at_rest(self) -> bool:
        """Nothing waits, both services are ready, and no dead letter was made."""
        for database in self.databases:
            assert await database.fetchval("SELECT count(*) FROM outbox") == 0
        for service in (self.tills, self.ledger):
            answer = await service.get("/ready")
            assert answer.status_code == 200, answer.text
        return True


@asynccontextmanager
async def running_world(tills_url: str, ledger_url: str, broker: str) -> AsyncIterator[World]:
    await chain.create_tables(tills_url, chain.TILLS_DATABASE)
    await chain.create_tables(ledger_url, chain.LEDGER_DATABASE)
    await topology.apply(broker, topology.topology_of([chain.tills(), chain.ledger()]))
    async with AsyncExitStack() as stack:
        postgres, tills_through = await stack.enter_async_context(proxy(tills_url))
        rabbitmq, broker_through = await stack.enter_async_context(proxy(broker))
        ledger_through = ledger_url.replace(
            ledger_url.split("@")[1].split("/")[0], f"127.0.0.1:{postgres.port}"
        )
        tills_database = await asyncpg.connect(tills_url.replace("+asyncpg", ""))
        stack.push_async_callback(tills_database.close)
        ledger_database = await asyncpg.connect(ledger_url.replace("+asyncpg", ""))
        stack.push_async_callback(ledger_database.close)
        tills = chain.TillsSettings(
            _env_file=None, database_url=tills_through, rabbitmq_url=broker_through
        )
        ledger = chain.LedgerSettings(
            _env_file=None, database_url=ledger_through, rabbitmq_url=broker_through
        )
        yield World(
            postgres,
            rabbitmq,
            await stack.enter_async_context(serving(chain.build_tills(tills))),
            await stack.enter_async_context(serving(chain.build_ledger(ledger))),
            tills_database,
            ledger_database,
            broker,
        )
