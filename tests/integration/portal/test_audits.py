"""Audits form one chain for each tenant, and the service's database role can only add to it."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from sqlalchemy import make_url

from deploy.postgres.provision import DatabaseAccounts, provision
from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.runtime.migrations import migrate
from services.portal.application.record_audit import record_audit
from services.portal.application.verify_audits import verify_audits
from services.portal.domain.audit import Act, verify_chain
from services.portal.infrastructure.store.audit_repository import PostgresAudits
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork, Store
from services.portal.main import build, connect
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import AddUser, execute, signed_in


async def record(
    transactions: Store, action: str = "did", tenant: str = "default", **told: Any
) -> None:
    act = Act(tenant, "ana", uuid7(), told.pop("at", utc_now()))
    await transactions.run(
        lambda uow: record_audit(uow, act=act, action=action, **{"target": "it", **told})
    )


async def problem(transactions: Store, tenant: str = "default") -> str | None:
    report = await transactions.run(lambda uow: verify_audits(uow, tenant_id=tenant))
    return report.problem


async def test_many_at_once_make_one_chain_for_each_tenant(transactions: Store) -> None:
    await asyncio.gather(
        *(record(transactions, tenant=tenant) for tenant in ("south", "north") * 10)
    )
    for tenant in ("south", "north"):
        audits = await transactions.run(lambda uow: uow.audits.page(tenant, None, 50))  # noqa: B023
        assert [each.sequence for each in audits] == list(range(10, 0, -1))
        assert await problem(transactions, tenant) is None


async def test_an_audit_whose_effect_is_rolled_back_was_never_there(transactions: Store) -> None:
    class Broken(Exception):
        pass

    async def fails(uow: PostgresPortalUnitOfWork) -> None:
        await record_audit(
            uow, act=Act("default", "ana", uuid7(), utc_now()), action="did", target="it"
        )
        raise Broken

    with pytest.raises(Broken):
        await transactions.run(fails)
    await record(transactions)
    [audit] = await transactions.run(lambda uow: uow.audits.page("default", None, 50))
    assert audit.sequence == 1


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE audits SET actor = 'eve' WHERE sequence = 2", "entry 2 was changed"),
        ("UPDATE audits SET at = at - interval '1 us' WHERE sequence = 2", "entry 2 was changed"),
        ("UPDATE audits SET details = '{\"a\": 1}' WHERE sequence = 1", "entry 1 was changed"),
        ("DELETE FROM audits WHERE sequence = 2", "entry 2 is missing"),
        ("DELETE FROM audits WHERE sequence = 3", "the chain ends at 2, not at 3"),
        ("DELETE FROM audits", "the chain ends at 0, not at 3"),
        ("UPDATE audit_heads SET sequence = 2", "the chain ends at 3, not at 2"),
    ],
)
async def test_whatever_the_owner_of_the_database_changes_shows(
    transactions: Store, portal_database: str, statement: str, told: str
) -> None:
    for _ in range(3):
        await record(transactions)
    assert await problem(transactions) is None
    await execute(portal_database, statement)
    assert await problem(transactions) == told


async def test_the_verification_reads_a_chain_longer_than_it_reads_at_once(
    transactions: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.portal.infrastructure.store.audit_repository.AT_ONCE", 2)
    for _ in range(5):
        await record(transactions)
    report = await transactions.run(lambda uow: verify_audits(uow, tenant_id="default"))
    assert (report.checked, report.problem) == (5, None)


@pytest.mark.parametrize("after", ["hold", "start", "end"])
async def test_a_verification_beside_writers_raises_no_false_alarm(
    transactions: Store, portal_database: str, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """Others record audits between its first statement and its last."""
    for _ in range(3):
        await record(transactions)
    read = getattr(PostgresAudits, after)

    async def read_and_be_overtaken(*arguments: Any) -> Any:
        found = await read(*arguments)
        await record(transactions)
        return found

    monkeypatch.setattr(PostgresAudits, after, read_and_be_overtaken)
    assert await problem(transactions) is None
    monkeypatch.undo()
    await execute(portal_database, "DELETE FROM audits WHERE sequence = 4")
    assert await problem(transactions) == "the chain ends at 3, not at 4"


async def test_a_verification_beside_the_dropping_of_old_months_raises_no_false_alarm(
    transactions: Store, portal_database: str
) -> None:
    old = datetime(2025, 1, 15, tzinfo=UTC)
    month = "'audits', 'at', 'audits_202501', '2025-01-01', '2025-02-01'"
    await execute(portal_database, f"SELECT messaging_make_partition({month})")
    for _ in range(2):
        await record(transactions, at=old)
    await record(transactions)

    async def verify(uow: PostgresPortalUnitOfWork) -> str | None:
        await uow.audits.hold()
        start = await uow.audits.start("default")
        dropping = asyncio.create_task(drop(portal_database))
        await asyncio.wait([dropping], timeout=0.5)  # it waits for us, or has ended
        report = await verify_chain(
            start,
            uow.audits.entries("default"),
            await uow.audits.end("default"),
        )
        dropping.cancel()
        await asyncio.wait([dropping])
        return report.problem

    assert await transactions.run(verify) is None
    await drop(portal_database)
    report = await transactions.run(lambda uow: verify_audits(uow, tenant_id="default"))
    assert (report.checked, report.problem) == (1, None)


async def drop(database: str) -> None:
    await execute(database, "SELECT portal_maintain_partitions(1, 12, 12)")


async def test_operators_read_their_tenants_audits_page_by_page(
    portal: ServiceClient, add_user: AddUser, transactions: Store
) -> None:
    await add_user("operator")
    for n in range(3):
        await record(transactions, target=str(n))
    await record(transactions, tenant="elsewhere", target="secret")
    await signed_in(portal, "operator@example.com")
    first = (await portal.get("/api/audits", params={"action": "did", "limit": 2})).json()
    assert [each["target"] for each in first["items"]] == ["2", "1"]
    query = {"action": "did", "limit": 2, "cursor": first["next"]}
    last = (await portal.get("/api/audits", params=query)).json()
    assert ([each["target"] for each in last["items"]], last["next"]) == (["0"], None)
    forged = await portal.get("/api/audits", params=query | {"action": "other"})
    assert forged.status_code == 400
    verified = (await portal.get("/api/audits/verification")).json()
    assert verified == {"checked": 5, "problem": None}


@pytest.mark.parametrize("role", ["buyer", "seller"])
async def test_buyers_and_sellers_may_not_read_audits(
    portal: ServiceClient, add_user: AddUser, role: str
) -> None:
    await add_user(role)
    await signed_in(portal, f"{role}@example.com")
    for path in ("/api/audits", "/api/audits/verification"):
        assert (await portal.get(path)).status_code == 403


@pytest.fixture
async def provisioned(postgres_server: PostgresServer) -> AsyncIterator[dict[str, str]]:
    """Yield the URLs by role of a database as an installation makes it."""
    name = f"test_{uuid.uuid4().hex[:10]}"
    place = urlsplit(postgres_server.url)
    await provision(postgres_server.url, [DatabaseAccounts(name, "m", "a")])
    try:
        host = f"{place.hostname}:{place.port}"
        urls = {
            role: f"postgresql://{name}_{role}:{role[0]}@{host}/{name}"
            for role in ("migrator", "app")
        }
        await asyncio.to_thread(migrate, "portal", asyncpg_of(urls["migrator"]), "upgrade", "head")
        urls["superuser"] = urlunsplit(place._replace(path=f"/{name}"))
        yield urls
    finally:
        await execute(postgres_server.url, f"DROP DATABASE {name} WITH (FORCE)")
        for role in ("app", "migrator", "owner"):
            await execute(postgres_server.url, f"DROP ROLE {name}_{role}")


def asyncpg_of(url: str) -> Any:
    return make_url(url).set(drivername="postgresql+asyncpg")


@pytest.fixture
async def as_app(provisioned: dict[str, str], settings: Any) -> AsyncIterator[Store]:
    transactions = connect(settings(database_url=provisioned["app"]))
    yield transactions
    await transactions.engine.dispose()


async def test_the_services_role_adds_audits_and_can_neither_change_nor_delete_them(
    provisioned: dict[str, str], as_app: Store
) -> None:
    await record(as_app)
    assert await problem(as_app) is None
    this_month = f"audits_{utc_now():%Y%m}"
    connection = await asyncpg.connect(provisioned["app"])
    try:
        for table in ("audits", this_month, "audits_default"):
            for statement in (
                f"UPDATE {table} SET actor = 'eve'",
                f"DELETE FROM {table}",
                f"TRUNCATE {table}",
                f"DROP TABLE {table}",
                f"ALTER TABLE {table} DISABLE TRIGGER ALL",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
        for statement in (
            "DELETE FROM audit_heads",
            "INSERT INTO audit_anchors VALUES ('default', 1, '')",
            "UPDATE audit_anchors SET sequence = 1",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_partitions_made_later_are_protected_as_well(
    provisioned: dict[str, str], as_app: Store
) -> None:
    await execute(provisioned["app"], "SELECT portal_maintain_partitions(5, 60, 24)")
    rows = await execute(
        provisioned["superuser"],
        "SELECT relname, has_table_privilege($1, oid, 'UPDATE, DELETE, TRUNCATE') AS open"
        " FROM pg_class WHERE relkind = 'r' AND relname ~ '^audits_'",
        urlsplit(provisioned["app"]).username,
    )
    assert len(rows) == 7
    assert [row["relname"] for row in rows if row["open"]] == []


async def test_months_are_dropped_behind_and_the_chain_goes_on_from_their_last_hash(
    provisioned: dict[str, str], as_app: Store
) -> None:
    await old_months(provisioned["superuser"])
    for at in (datetime(2024, 1, 9, tzinfo=UTC), datetime(2024, 2, 9, tzinfo=UTC), utc_now()):
        await record(as_app, at=at)
    await execute(provisioned["app"], "SELECT portal_maintain_partitions(2, 13, 13)")
    kept = await as_app.run(lambda uow: uow.audits.page("default", None, 10))
    assert [each.sequence for each in kept] == [3]
    assert await problem(as_app) is None
    await execute(provisioned["superuser"], "DELETE FROM audits")
    assert await problem(as_app) == "the chain ends at 2, not at 3"


async def test_a_table_that_only_looks_like_a_month_disturbs_no_upkeep(
    provisioned: dict[str, str],
) -> None:
    """Postgres' own TOAST tables look like a month too, because their names end in a
    number of six digits.
    """
    await execute(provisioned["superuser"], "CREATE TABLE like_toast_198842 ()")
    connection = await asyncpg.connect(provisioned["app"])
    try:
        await connection.execute("SET enable_nestloop = off")
        assert await connection.fetch("SELECT portal_maintain_partitions(2, 60, 24)") == []
    finally:
        await connection.close()


async def test_the_services_role_cannot_have_the_last_years_audits_dropped(
    provisioned: dict[str, str], as_app: Store
) -> None:
    month = (utc_now() - timedelta(days=90)).replace(day=1, hour=0, minute=0, second=0)
    await execute(
        provisioned["superuser"],
        f"CREATE TABLE audits_{month:%Y%m} PARTITION OF audits FOR VALUES"
        f" FROM ('{month:%Y-%m}-01T00:00Z') TO ('{month:%Y-%m}-28T00:00Z')",
    )
    await execute(
        provisioned["superuser"],
        f"ALTER TABLE audits_{month:%Y%m} OWNER TO"
        f" {urlsplit(provisioned['superuser']).path[1:]}_owner",
    )
    await record(as_app, at=month + timedelta(days=1))
    await execute(provisioned["app"], "SELECT portal_maintain_partitions(2, 0, 0)")
    assert len(await as_app.run(lambda uow: uow.audits.page("default", None, 10))) == 1


async def old_months(url: str) -> None:
    owner = f"{urlsplit(url).path[1:]}_owner"
    for name, start, end in (
        ("202401", "2024-01-01", "2024-02-01"),
        ("202402", "2024-02-01", "2024-03-01"),
    ):
        await execute(
            url,
            f"CREATE TABLE audits_{name} PARTITION OF audits"
            f" FOR VALUES FROM ('{start}T00:00Z') TO ('{end}T00:00Z')",
        )
        await execute(url, f"ALTER TABLE audits_{name} OWNER TO {owner}")


@pytest.mark.parametrize("parent", ["audits", "timeline"])
async def test_rows_in_the_default_partition_move_to_their_month_and_upkeep_goes_on(
    provisioned: dict[str, str], as_app: Store, settings: Any, parent: str
) -> None:
    """Upkeep rested for more than two months: today's first audit came before today's month."""
    superuser, now = provisioned["superuser"], utc_now()
    month = f"{parent}_{now:%Y%m}"
    for row in await execute(
        superuser,
        f"SELECT inhrelid::regclass::text AS part FROM pg_inherits"
        f" WHERE inhparent = '{parent}'::regclass AND inhrelid::regclass::text ~ '[0-9]$'",
    ):
        await execute(superuser, f"DROP TABLE {row['part']}")
    if parent == "audits":
        await record(as_app, at=now)
    else:
        await execute(
            superuser,
            "INSERT INTO timeline (subject_id, position, occurred_at, event_id, service, type,"
            " sequence, details) VALUES (gen_random_uuid(), 1, now(), gen_random_uuid(), 'orders',"
            " 't', 1, '{}')",
        )
    own_partitions = build(settings(database_url=provisioned["app"])).own_partitions
    assert own_partitions is not None
    connection = await asyncpg.connect(provisioned["app"])
    try:
        assert await own_partitions(connection) == []
    finally:
        await connection.close()
    rows = await execute(superuser, f"SELECT tableoid::regclass::text AS part FROM {parent}")
    assert [row["part"] for row in rows] == [month]
    made = await execute(
        superuser,
        f"SELECT count(*) FROM pg_inherits WHERE inhparent = '{parent}'::regclass",
    )
    assert made[0][0] == 4, "three months and the default"
    if parent == "audits":
        assert await problem(as_app) is None
        (row,) = await execute(
            superuser,
            "SELECT has_table_privilege($1, $2, 'UPDATE, DELETE, TRUNCATE') AS open",
            urlsplit(provisioned["app"]).username,
            month,
        )
        assert row["open"] is False
