"""`migrate plan` and `migrate apply` work on databases as an installation has them."""

import asyncio
import re
from collections.abc import Iterator

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from deploy.installation import SUPERUSER, Installation
from deploy.local.migrating import app
from deploy.passwords import Passwords
from deploy.prepare import prepare_databases
from deploy.servers.ports import Ports
from deploy.servers.postgres import start_postgres
from deploy.servers.processes import Children
from deploy.services import SERVICES
from libs.messaging.database_url import parse_database_url
from libs.runtime.migrations import migrate
from libs.runtime.start_failure import StartFailure
from tests.fixtures.servers import server_folder
from tests.integration.deploy.systems import private_only

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), private_only]
AUDITS = """
    SELECT actor, target, result, details ->> 'approved_by', details ->> 'revision' FROM audits
     WHERE action = 'schema.migrated' ORDER BY sequence"""
REVISION = "SELECT version_num FROM alembic_version"
PLAN = re.compile(r"--approved-by NAME --plan ([0-9a-f]{16})\n")


@pytest.fixture(scope="module")
def made() -> Iterator[Installation]:
    """Yield an installation with migrated databases, and without broker and services."""
    with server_folder() as folder:
        children, port = Children(folder, tied=True), Ports().pick()
        passwords = Passwords(folder / "secrets.json")
        nowhere = "127.0.0.1:1"
        try:
            start_postgres(children, port, passwords.password(SUPERUSER), durable=False)
            installation = Installation(
                postgres=f"127.0.0.1:{port}",
                rabbitmq=nowhere,
                management=nowhere,
                passwords=passwords,
                files=folder,
                services={spec.name: f"http://{nowhere}" for spec in SERVICES},
            )
            prepare_databases(installation)
            yield installation
        finally:
            children.stop()


@pytest.fixture
def installation(made: Installation) -> Installation:
    """Return an installation whose payouts lacks its last migration, and nobody approved it."""
    url = parse_database_url(made.database_url("payouts", "payouts_migrator"))
    migrate("payouts", url, "upgrade", "head")
    migrate("payouts", url, "downgrade", "0002")
    return made


def asked(installation: Installation, *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), obj=installation)


def answer(installation: Installation, database: str, question: str) -> list[tuple[str, ...]]:
    async def ask() -> list[tuple[str, ...]]:
        connection = await asyncpg.connect(installation.database_url(database, SUPERUSER))
        try:
            return [tuple(row) for row in await connection.fetch(question)]
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_a_plan_that_is_approved_is_done_and_stands_in_the_audits(
    installation: Installation,
) -> None:
    planned = asked(installation, "plan")
    assert planned.exit_code == 0, planned.output
    assert "-- customers: nothing to do, at 0004\n" in planned.output
    assert "-- payouts: 0002 > 0003, in one transaction\n" in planned.output
    assert re.search(
        r"-- locks payouts \(about \d+ rows, [\d.]+ MiB\): nobody reads or writes it until the",
        planned.output,
    )
    assert "ALTER TABLE payouts ADD COLUMN" in planned.output
    assert answer(installation, "payouts", REVISION) == [("0002",)]
    [plan_id] = PLAN.findall(planned.output)
    before = answer(installation, "portal", AUDITS)

    done = asked(installation, "apply", "--approved-by", "ana.souza", "--plan", plan_id)

    assert done.exit_code == 0, done.output
    assert "1 schemas migrated, approved by ana.souza" in done.output
    assert answer(installation, "payouts", REVISION) == [("0003",)]
    assert answer(installation, "portal", AUDITS) == [
        *before,
        ("terminal", "payouts", "done", "ana.souza", "0002 > 0003"),
    ]
    again = asked(installation, "apply", "--approved-by", "ana.souza")
    assert again.output == "nothing to do\n"
    assert "nothing to do, at 0003" in asked(installation, "plan", "payouts").output


def test_a_step_that_was_not_approved_is_not_done(installation: Installation) -> None:
    before = answer(installation, "portal", AUDITS)
    for arguments, words in (
        (["--approved-by", "ana", "--plan", "0" * 16], "plan 0000000000000000 was approved, and"),
        (["--approved-by", "Ana Souza"], "audits hold no personal data"),
        (["--approved-by", "ana@example.com"], "audits hold no personal data"),
        (["--approved-by", ""], "audits hold no personal data"),
    ):
        refused = asked(installation, "apply", *arguments)
        assert isinstance(refused.exception, StartFailure)
        assert words in str(refused.exception)
    assert asked(installation, "apply").exit_code == 2  # no person is named
    assert answer(installation, "payouts", REVISION) == [("0002",)]
    assert answer(installation, "portal", AUDITS) == before


def test_a_migration_that_fails_stands_in_the_audits_too(installation: Installation) -> None:
    answer(installation, "payouts", "ALTER TABLE payouts ADD COLUMN needs_attention int")
    try:
        failed = asked(installation, "apply", "--approved-by", "ana")
        assert isinstance(failed.exception, StartFailure)
        assert "needs_attention" in str(failed.exception)
        assert answer(installation, "payouts", REVISION) == [("0002",)]
        assert answer(installation, "portal", AUDITS)[-1] == (
            *("terminal", "payouts", "failed", "ana", "0002 > 0003"),
        )
    finally:
        answer(installation, "payouts", "ALTER TABLE payouts DROP COLUMN needs_attention")


def test_with_approved_migrations_a_start_changes_no_schema_and_says_what_is_pending(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIGRATIONS", "approved")
    with pytest.raises(
        StartFailure, match="payouts is at 0002, 0003 is pending and MIGRATIONS=app"
    ):
        prepare_databases(installation)
    assert answer(installation, "payouts", REVISION) == [("0002",)]

    assert asked(installation, "apply", "payouts", "--approved-by", "ana").exit_code == 0
    prepare_databases(installation)

    monkeypatch.setenv("MIGRATIONS", "yes")
    with pytest.raises(StartFailure, match="MIGRATIONS is 'yes': it can be automatic or approved"):
        prepare_databases(installation)
