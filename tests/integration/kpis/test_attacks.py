"""Hostile templates harm neither the running service nor, without it, the database role."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from deploy.postgres.reader import LIMITS
from libs.kernel.ids import uuid7
from libs.runtime.problems import Unavailable
from services.kpis.domain.errors import KpiNotComputable, KpiTooLarge, KpiTooSlow
from services.kpis.infrastructure.published_views import VIEWS
from services.kpis.infrastructure.reader import PostgresReader
from services.kpis.infrastructure.template import SafeQuery
from tests.integration.kpis.conftest import Database, Kpis
from tests.unit.kpis.test_template import REFUSED

SLOW = "SELECT COUNT(*) AS n FROM " + ", ".join(f"sales s{n}" for n in range(9))


async def put_unchecked(kpis: Kpis, template: str) -> str:
    """Store a KPI whose template was not checked when it was defined."""
    kpi_id = f"kpi_{uuid7().hex}"
    await kpis.client.execute(
        "INSERT INTO kpis VALUES (:tenant, :id, 'x', 'x', :template, 'x', 'active', 1)",
        tenant=kpis.tenant,
        id=kpi_id,
        template=template,
    )
    return kpi_id


async def test_hostile_template_is_not_kept(kpis: Kpis) -> None:
    for name, template in REFUSED.items():
        assert (await kpis.define(template)).status_code == 422, name


async def test_hostile_template_is_not_run_even_where_it_was_kept(kpis: Kpis) -> None:
    for name, template in REFUSED.items():
        kpi_id = await put_unchecked(kpis, template)
        answer = await kpis.client.get(
            f"/kpis/{kpi_id}/value", params={"month": "2026-11"}, headers=kpis.headers
        )
        assert answer.status_code == 422, name
        assert answer.json()["code"].startswith("template-"), name
        assert answer.json()["field"] == "sql_template"


async def test_rows_of_another_tenant_are_never_seen(kpis: Kpis) -> None:
    other = f"{kpis.tenant}-other"
    await kpis.completed(uuid7(), 5)
    await kpis.consumes(
        "order.completed.v1",
        uuid7(),
        tenant=other,
        customer_id=uuid7(),
        vehicle_id=uuid7(),
        seller_id=uuid7(),
        total_cents=7,
    )

    assert (await kpis.value("monthly_sales"))["value"] == 5
    assert (await kpis.value("monthly_sales", tenant=other))["value"] == 7
    for template in (
        "SELECT amount FROM sales",
        "SELECT s.amount FROM sales s JOIN purchases p ON true OR p.amount > 0",
        "SELECT amount FROM (sales NATURAL JOIN purchases)",
        "WITH a AS (SELECT amount FROM sales) SELECT amount FROM a WHERE true OR amount = 7",
        "SELECT amount FROM purchases WHERE amount IN (SELECT amount FROM sales) OR 1 = 1",
    ):
        assert await kpis.asked(template) == [[5]], template


async def test_tenant_with_quotes_in_its_name_is_bound_and_not_written_in(kpis: Kpis) -> None:
    """No token has such a tenant, but the reader does not rely on that."""
    reader = PostgresReader(kpis.database.url("reader"), 1, 10)
    tricky = "x' OR tenant_id <> '"

    found = await reader.evaluate("SELECT COUNT(*) FROM sales", tricky, None)

    assert found.rows == ((0,),)


async def test_month_cannot_carry_sql(kpis: Kpis) -> None:
    for month in ("2026-11' OR '1'='1", "2026-13", "2026", "", "２０２６-11"):
        answer = await kpis.client.get(
            "/kpis/monthly_sales/value", params={"month": month}, headers=kpis.headers
        )
        assert answer.status_code in {400, 422}, month


async def test_query_that_takes_too_long_is_stopped_by_postgres(
    kpis: Kpis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.kpis.infrastructure.reader.GRACE_SECONDS", 60)
    for _ in range(12):
        await kpis.completed(uuid7())
    kpi_id = (await kpis.define(SLOW)).json()["id"]
    reader, limit = f"{kpis.database.name}_reader", LIMITS["statement_timeout"]
    admin = await asyncpg.connect(kpis.database.server)
    try:  # only the service's limit may stop it, not the role's or the connection's of 15 seconds
        await admin.execute(f"ALTER ROLE {reader} SET statement_timeout = '60s'")
        answer = await asyncio.wait_for(
            kpis.client.get(f"/kpis/{kpi_id}/value", headers=kpis.headers), timeout=10
        )
        running = await admin.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND state = 'active'", reader
        )
    finally:
        await admin.execute(f"ALTER ROLE {reader} SET statement_timeout = '{limit}'")
        await admin.close()
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:mercado-veiculo:problem:kpi-too-slow"
    assert running == 0


async def test_result_with_too_many_rows_is_refused_after_the_cap(kpis: Kpis) -> None:
    for _ in range(8):
        await kpis.completed(uuid7())
    kpi_id = (await kpis.define("SELECT a.amount FROM sales a, sales b")).json()["id"]

    answer = await kpis.client.get(f"/kpis/{kpi_id}/value", headers=kpis.headers)

    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:mercado-veiculo:problem:kpi-too-large"


@pytest.mark.parametrize(
    "template",
    [
        "SELECT " + ", ".join(f"{n} AS n{n}" for n in range(51)),
        f"SELECT '{'a' * 3800}' AS a, '' AS b FROM sales a, sales b, sales c, sales d",
    ],
    ids=["columns", "text"],
)
async def test_result_that_is_too_wide_or_long_is_refused(
    kpis_database: Database, kpis: Kpis, template: str
) -> None:
    reader = PostgresReader(kpis_database.url("reader"), 2, 100_000)
    for _ in range(5):
        await kpis.completed(uuid7())

    with pytest.raises(KpiTooLarge):
        await reader.evaluate(template, kpis.tenant, None)


async def test_number_of_very_many_digits_is_no_figure(kpis: Kpis) -> None:
    digits = "SELECT 9999999999::numeric AS n"
    for _ in range(11):
        digits = f"SELECT n * n AS n FROM ({digits}) x"

    assert await kpis.asked(digits) == [[None]]


@pytest.mark.parametrize(
    "template",
    [
        "SELECT amount / (amount - amount) FROM sales",
        "SELECT CAST(reason AS int) FROM purchases",
        "SELECT 1" + " + 1" * 990,
    ],
)
async def test_template_that_fails_while_it_runs_is_the_callers_trouble(
    kpis: Kpis, template: str
) -> None:
    await kpis.completed(uuid7())
    await kpis.cancelled(uuid7())
    kpi_id = (await kpis.define(template)).json()["id"]

    answer = await kpis.client.get(f"/kpis/{kpi_id}/value", headers=kpis.headers)

    assert answer.status_code in {200, 422}
    if answer.status_code == 422:
        assert answer.json()["code"] in {"kpi-not-computable", "kpi-cell-is-no-figure"}


async def test_reader_that_cannot_be_reached_is_unavailable() -> None:
    nowhere = PostgresReader("postgresql://nobody:x@127.0.0.1:1/kpis", 1, 10)
    with pytest.raises(Unavailable):
        await nowhere.evaluate("SELECT 1 AS n", "default", None)


# --- The role alone refuses, without the parser. ---------------------------------------------

FORBIDDEN_TO_THE_ROLE = {
    "insert": "INSERT INTO published.sales (amount) VALUES (1)",
    "update through a view": "UPDATE published.customers SET month = ''",
    "delete through a view": "DELETE FROM published.customers",
    "writing WITH": "WITH x AS (DELETE FROM published.customers RETURNING 1) SELECT 1 FROM x",
    "the same after a commit": "COMMIT; DELETE FROM published.customers",
    "a writing transaction": ("COMMIT; BEGIN READ WRITE; DELETE FROM published.customers; COMMIT"),
    "a writing session": (
        "COMMIT; SET default_transaction_read_only = off; DELETE FROM published.customers"
    ),
    "facts": "SELECT * FROM public.facts",
    "kpis": "SELECT * FROM public.kpis",
    "the table behind a view": "SELECT * FROM public.purchases",
    "the outbox": "SELECT * FROM public.outbox",
    "the version of the schema": "SELECT * FROM public.alembic_version",
    "pg_authid": "SELECT * FROM pg_authid",
    "pg_shadow": "SELECT * FROM pg_shadow",
    "pg_statistic": "SELECT * FROM pg_statistic",
    "pg_read_file": "SELECT pg_read_file('/etc/passwd')",
    "pg_read_binary_file": "SELECT pg_read_binary_file('PG_VERSION')",
    "pg_ls_dir": "SELECT pg_ls_dir('.')",
    "copy from a file": "COMMIT; COPY published.sales FROM '/etc/passwd'",
    "copy to a file": "COPY (SELECT 1) TO '/tmp/mine'",
    "copy to a program": "COPY (SELECT 1) TO PROGRAM 'id'",
    "pg_sleep": "SELECT pg_sleep(0)",
    "pg_sleep_for": "SELECT pg_sleep_for('0 s')",
    "set_config": "SELECT set_config('statement_timeout', '0', false)",
    "advisory lock": "SELECT pg_advisory_lock(1)",
    "advisory lock of a transaction": "SELECT pg_try_advisory_xact_lock(1)",
    "notify": "SELECT pg_notify('x', '')",
    "large object": "COMMIT; SELECT lo_create(0)",
    "large object from bytes": "COMMIT; SELECT lo_from_bytea(0, 'x')",
    "large object from a file": "COMMIT; SELECT lo_import('/etc/passwd')",
    "query_to_xml": "SELECT query_to_xml('SELECT 1', true, true, '')",
    "a message to the log of changes": "SELECT pg_logical_emit_message(false, 'x', 'y')",
    "ending another's session": "SELECT pg_terminate_backend(1)",
    "dblink": "COMMIT; CREATE EXTENSION dblink",
    "a function": "COMMIT; CREATE FUNCTION published.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "a table": "COMMIT; BEGIN READ WRITE; CREATE TABLE published.mine (a int)",
    "a temporary table": "COMMIT; BEGIN READ WRITE; CREATE TEMP TABLE mine (a int)",
    "a role": "SET ROLE {name}_owner",
    "the app's role": "SET ROLE {name}_app",
    "a memory limit": "SET temp_file_limit = -1",
    "the partitions": "SELECT public.messaging_maintain_partitions(1, 1, 1)",
}
REFUSAL_OF_THE_ROLE = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.ObjectNotInPrerequisiteStateError,
)


@pytest.mark.parametrize(
    "statement", FORBIDDEN_TO_THE_ROLE.values(), ids=FORBIDDEN_TO_THE_ROLE.keys()
)
async def test_role_alone_refuses_what_would_write_or_look_elsewhere(
    kpis_database: Database, statement: str
) -> None:
    """The statements use the simple protocol in a transaction that only reads."""
    async with kpis_database.connected("reader") as connection:
        with pytest.raises(REFUSAL_OF_THE_ROLE):
            await connection.execute(
                "BEGIN READ ONLY; " + statement.format(name=kpis_database.name)
            )


async def test_role_alone_reads_every_published_view(kpis_database: Database) -> None:
    async with kpis_database.connected("reader") as connection:
        for view, columns in VIEWS.items():
            row = await connection.prepare(f"SELECT * FROM published.{view}")
            found = {attribute.name for attribute in row.get_attributes()}
            assert found == {"tenant_id", *columns}


async def test_role_alone_sees_no_settings_or_sessions_of_others(kpis_database: Database) -> None:
    async with kpis_database.connected("reader") as connection:
        async with kpis_database.connected("app"):
            others = await connection.fetch(
                "SELECT query FROM pg_stat_activity WHERE usename <> current_user"
            )
        assert {row["query"] for row in others} <= {"<insufficient privilege>"}
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT current_setting('data_directory')")


async def test_role_alone_ends_a_template_that_never_ends(kpis_database: Database) -> None:
    """Only the settings of the role end it, without the reader's timeout and the parser."""
    bomb = "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT n FROM t"
    async with kpis_database.connected("reader") as connection:
        assert await connection.fetchval("SHOW statement_timeout") == "5s"
        with pytest.raises((asyncpg.QueryCanceledError, asyncpg.ConfigurationLimitExceededError)):
            await connection.fetchval(f"SELECT count(*) FROM ({bomb} ORDER BY n DESC) x")


async def test_role_may_enter_no_other_database(kpis_database: Database) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(kpis_database.url("reader"), database="postgres")


# --- The run alone refuses, with a role that may write and a parser that accepts everything. ---


@pytest.fixture
def unchecked(
    kpis_database: Database, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Awaitable[object]]:
    monkeypatch.setattr(
        "services.kpis.infrastructure.reader.safe_query",
        lambda statement, _: SafeQuery(statement, needs_month=False, units=None),
    )
    reader = PostgresReader(kpis_database.url("app"), 0.3, 10)
    return lambda statement: reader.evaluate(statement, "default", None)


async def test_run_alone_takes_one_statement(
    unchecked: Callable[[str], Awaitable[object]],
) -> None:
    with pytest.raises(KpiNotComputable, match="cannot insert multiple commands"):
        await unchecked("SELECT 1; DELETE FROM public.kpis")


async def test_run_alone_reads_only(unchecked: Callable[[str], Awaitable[object]]) -> None:
    with pytest.raises(KpiNotComputable, match="read-only transaction"):
        await unchecked("DELETE FROM public.kpis WHERE false")


async def test_run_alone_ends_what_postgres_does_not_stop(
    unchecked: Callable[[str], Awaitable[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PostgresReader, "_limits", lambda _: "SELECT 1")
    monkeypatch.setattr("services.kpis.infrastructure.reader.GRACE_SECONDS", 0.1)
    with pytest.raises(KpiTooSlow):
        await asyncio.wait_for(unchecked("SELECT pg_sleep(60)"), timeout=10)
