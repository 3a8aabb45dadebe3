"""While the database fails, requests are answered 503 quickly; afterwards the service
recovers by itself.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from time import monotonic

import asyncpg
import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.runtime import database, limits
from libs.runtime.application import RESERVED_CONNECTIONS
from libs.runtime.database import create_engine
from libs.runtime.loops import Loop
from tests.fixtures.polling import eventually
from tests.fixtures.services import ServiceClient, serving
from tests.integration.runtime.notes import NotesSettings, build

NOTE = {"text": "milk"}
PLACES = 10 - RESERVED_CONNECTIONS


@asynccontextmanager
async def superuser(database: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        yield connection
    finally:
        await connection.close()


def assert_unavailable(answer: httpx.Response, code: str = "unavailable") -> None:
    assert answer.status_code == 503
    assert answer.json()["type"] == f"urn:notes:problem:{code}"
    assert int(answer.headers["Retry-After"]) >= 1


async def end_others(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Cut all existing connections; new ones may be made meanwhile."""
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    cut = await connection.fetch(f"SELECT pid, pg_terminate_backend(pid) {others}")
    pids = [row["pid"] for row in cut]

    async def gone() -> bool:
        return not await connection.fetchval(f"SELECT count(*) {others} AND pid = ANY ($1)", pids)

    await eventually(gone)


async def test_connections_that_were_cut_at_rest_are_not_noticed(
    notes: ServiceClient, notes_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "IDLE_SECONDS", 0.0)  # each is checked before use
    await asyncio.gather(*(notes.post("/notes", json=NOTE) for _ in range(8)))
    async with superuser(notes_database) as connection:
        await end_others(connection)
    answers = await asyncio.gather(*(notes.post("/notes", json=NOTE) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}


async def test_a_connection_cut_in_the_middle_is_503_and_the_next_request_works(
    notes: ServiceClient, notes_database: str
) -> None:
    async with superuser(notes_database) as connection:
        waiting = asyncio.create_task(notes.get("/notes/sleep?seconds=20"))

        async def asleep() -> bool:
            query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(%'"
            return bool(await connection.fetchval(f"{query} AND datname = current_database()"))

        await eventually(asleep)
        await end_others(connection)
        assert_unavailable(await waiting)
    assert (await notes.post("/notes", json=NOTE)).status_code == 201


async def test_a_lock_that_is_not_given_is_503(notes: ServiceClient, notes_database: str) -> None:
    engine = notes.service.transactions.engine
    async with engine.connect() as connection:
        assert await connection.scalar(text("SHOW lock_timeout")) == "2s"
    async with superuser(notes_database) as blocker, blocker.transaction():
        await blocker.execute("LOCK TABLE notes")
        started = monotonic()
        assert_unavailable(await notes.post("/notes", json=NOTE))
        assert monotonic() - started < 6


async def test_more_requests_than_places_wait_shortly_and_are_503(
    notes: ServiceClient, notes_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PLACE_SECONDS", 0.2)
    async with superuser(notes_database) as blocker, blocker.transaction():
        await blocker.execute("LOCK TABLE notes")
        answers = await asyncio.gather(*(notes.get("/notes") for _ in range(30)))
        assert (await notes.get("/health")).status_code == 200
    codes = [answer.json()["type"].rsplit(":")[-1] for answer in answers]
    assert set(codes) == {"busy", "unavailable"}
    assert codes.count("busy") == 30 - PLACES
    assert (await notes.get("/notes")).status_code == 200


async def test_no_connection_is_taken_at_rest(notes: ServiceClient) -> None:
    for path in ("/notes", "/notes/broken", "/notes/number?value=99999999999999999999", "/ready"):
        await notes.get(path)

    async def none_in_use() -> bool:
        metrics = (await notes.get("/metrics")).text
        return 'db_pool_connections{state="in_use"} 0.0' in metrics

    await eventually(none_in_use)


async def test_a_database_that_went_away_is_503_and_not_ready(
    notes_database: str,
) -> None:
    settings = NotesSettings(database_url=notes_database, role="api")
    async with serving(build(settings)) as notes:
        assert (await notes.get("/ready")).status_code == 200
        async with superuser(
            notes_database.replace(notes_database.rsplit("/")[-1], "postgres")
        ) as admin:
            name = notes_database.rsplit("/")[-1]
            await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
            )
            started = monotonic()
            assert_unavailable(await notes.get("/notes"))
            assert_unavailable(await notes.post("/notes", json=NOTE))
            assert monotonic() - started < 3
            await eventually(lambda: answers(notes, 503))
            assert (await notes.get("/health")).status_code == 200
            await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await eventually(lambda: answers(notes, 200))
        assert (await notes.post("/notes", json=NOTE)).status_code == 201


async def answers(notes: ServiceClient, status: int) -> bool:
    return (await notes.get("/ready")).status_code == status


async def test_writing_works_again_within_seconds_after_the_database_was_read_only(
    notes: ServiceClient, notes_database: str
) -> None:
    """Sessions that began while the database was read-only stay so until they end."""
    name = notes_database.rsplit("/")[-1]
    async with superuser(notes_database.replace(name, "postgres")) as admin:
        await admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        async with superuser(notes_database) as connection:
            await end_others(connection)
        for _ in range(8):
            assert_unavailable(await notes.post("/notes", json=NOTE))
        many = await asyncio.gather(*(notes.get("/notes") for _ in range(15)))
        assert {answer.status_code for answer in many} == {200}, "reading goes on"
        await eventually(lambda: answers(notes, 503))
        checks = (await notes.get("/ready")).json()["checks"]
        assert checks["database"] == "read-only: nothing can be written"
        await admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        at_once = await asyncio.gather(*(notes.post("/notes", json=NOTE) for _ in range(15)))
        assert {answer.status_code for answer in at_once} == {201}
        await eventually(lambda: answers(notes, 200), timeout=3)


async def test_read_only_connections_the_server_says_nothing_about_go_at_the_first_refusal(
    notes_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy does not pass on what the server reports about a session."""
    monkeypatch.setattr(database, "reports_read_only", lambda _: False)
    name = notes_database.rsplit("/")[-1]
    settings = NotesSettings(database_url=notes_database, role="api")
    engine = create_engine(settings)
    async with superuser(notes_database.replace(name, "postgres")) as admin:
        await admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        async with AsyncExitStack() as stack:
            for _ in range(5):
                connection = await stack.enter_async_context(engine.connect())
                assert await connection.scalar(text("SHOW transaction_read_only")) == "on"
        await admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    with pytest.raises(DBAPIError, match="read-only"):
        await write(engine)
    await asyncio.gather(*(write(engine) for _ in range(5)))
    await engine.dispose()


async def write(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM notes"))


async def test_writing_stops_while_too_many_events_wait_and_reading_goes_on(
    notes_database: str,
) -> None:
    settings = NotesSettings(database_url=notes_database, role="api", outbox_high_water_rows=3)
    async with serving(build(settings)) as notes:
        for _ in range(3):
            assert (await notes.post("/notes", json=NOTE)).status_code == 201
        await eventually(lambda: answers(notes, 503))
        assert_unavailable(await notes.post("/notes", json=NOTE), "outbox-backlog")
        assert len((await notes.get("/notes")).json()["items"]) == 3
        assert (await notes.get("/ready")).json()["checks"]["outbox"] == "down"
        async with superuser(notes_database) as connection:
            await connection.execute("DELETE FROM outbox")
        await eventually(lambda: answers(notes, 200))
        assert (await notes.post("/notes", json=NOTE)).status_code == 201


async def test_age_closes_writing_unless_it_is_one_refused_event_that_grows_old(
    notes_database: str,
) -> None:
    settings = NotesSettings(database_url=notes_database, role="api", outbox_high_water_seconds=60)
    async with superuser(notes_database) as connection, serving(build(settings)) as notes:
        await notes.post("/notes", json=NOTE)
        await connection.execute("UPDATE outbox SET created_at = now() - interval '2 minutes'")
        await eventually(lambda: answers(notes, 503))
        assert_unavailable(await notes.post("/notes", json=NOTE), "outbox-backlog")
        await connection.execute("UPDATE outbox SET attempts = 1, error = 'unroutable'")
        await eventually(lambda: answers(notes, 200))


async def test_a_cancelled_request_leaves_no_transaction_open(
    notes: ServiceClient, notes_database: str
) -> None:
    async with superuser(notes_database) as blocker:
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE notes")
            requests = [asyncio.create_task(notes.post("/notes", json=NOTE)) for _ in range(10)]
            await asyncio.wait(requests, timeout=0.3)
            for request in requests:
                request.cancel()
            await asyncio.gather(*requests, return_exceptions=True)
        open_ones = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state = 'idle in transaction' AND pid <> pg_backend_pid()"
        )

        async def none_open() -> bool:
            return bool(await blocker.fetchval(open_ones) == 0)

        await eventually(none_open)
    for _ in range(15):
        assert (await notes.post("/notes", json=NOTE)).status_code == 201


async def test_parameters_never_show_in_a_database_error(notes: ServiceClient) -> None:
    engine = notes.service.transactions.engine
    with pytest.raises(DBAPIError) as failure:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1 FROM nowhere WHERE a = :a"), {"a": "secret"})
    assert "secret" not in str(failure.value)


async def test_a_loop_that_fails_is_named_by_a_service_that_stays_ready(
    notes_database: str, vhost: str
) -> None:
    healed = asyncio.Event()

    async def work() -> bool:
        if not healed.is_set():
            raise KeyError("secret")
        return False

    settings = NotesSettings(database_url=notes_database, role="worker", rabbitmq_url=vhost)
    service = replace(build(settings), loops=[Loop("tidying", 3600, work)])
    async with serving(service) as notes:

        async def says(state: str) -> bool:
            return bool((await notes.get("/ready")).json()["checks"]["loops"] == state)

        await eventually(lambda: says("ok: tidying: KeyError"))
        healed.set()
        await eventually(lambda: says("ok"))
