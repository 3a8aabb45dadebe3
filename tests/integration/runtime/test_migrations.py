"""Each service's migrations can be applied, reverted and applied again, and agree with the code."""

import asyncio
import shutil
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url

from libs.runtime import migrations
from libs.runtime.migrations import MIGRATIONS, SERVICES, main, migrate
from libs.runtime.start_failure import StartFailure

NAMES = sorted(path.parents[2].name for path in SERVICES.glob(MIGRATIONS))


async def relations(database: str) -> set[str]:
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        rows = await connection.fetch(
            "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
            " WHERE nspname !~ '^(pg_|information_schema$)'"
        )
    finally:
        await connection.close()
    return {row["relname"] for row in rows}


@pytest.mark.parametrize("service", NAMES)
async def test_a_history_goes_up_down_and_up_again_without_drift(
    service: str, database: str
) -> None:
    async def run(*arguments: str) -> None:
        await asyncio.to_thread(migrate, service, make_url(database), *arguments)

    await run("upgrade", "head")
    await run("check")
    first = await relations(database)
    await run("downgrade", "base")
    assert await relations(database) == {"alembic_version", "alembic_version_pkc"}
    await run("upgrade", "head")
    assert await relations(database) == first
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        await connection.execute("DROP TABLE outbox")
    finally:
        await connection.close()
    with pytest.raises(StartFailure, match="New upgrade operations detected"):
        await run("check")


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the migrations of payouts, to which new ones are written."""
    place = Path("payouts/infrastructure/migrations")
    shutil.copytree(SERVICES / place, tmp_path / place)
    monkeypatch.setattr(migrations, "SERVICES", tmp_path)
    return tmp_path / place / "versions"


def last_number(versions: Path) -> int:
    return max(int(file.name[:4]) for file in versions.glob("0*.py"))


async def test_a_new_migration_is_numbered_after_the_last_one(
    database: str, versions: Path
) -> None:
    last = last_number(versions)
    for arguments in (("upgrade", "head"), ("revision", "--autogenerate", "-m", "how it is paid")):
        await asyncio.to_thread(migrate, "payouts", make_url(database), *arguments)
    written = (versions / f"{last + 1:04d}_how_it_is_paid.py").read_text()
    assert f'revision = "{last + 1:04d}"\ndown_revision = "{last:04d}"' in written


def test_an_id_that_is_given_is_kept_and_does_not_count(versions: Path) -> None:
    last = last_number(versions)
    nowhere = make_url("postgresql+asyncpg://127.0.0.1:9/nothing")
    migrate("payouts", nowhere, "revision", "--rev-id", "odd", "-m", "one")
    migrate("payouts", nowhere, "revision", "-m", "two")
    assert 'down_revision = "odd"' in (versions / f"{last + 1:04d}_two.py").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "usage"),
        (["nobody", "upgrade", "head"], "no service 'nobody'"),
        (["../libs", "upgrade", "head"], "no service"),
        (["orders"], "say what to do"),
        (["orders", "upgrade", "nowhere"], "no database answers"),
    ],
)
def test_a_trouble_is_one_line(
    arguments: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:secret@127.0.0.1:1/x")
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert "secret" not in line


def test_the_migrators_url_wins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@127.0.0.1:1/x")
    monkeypatch.setenv("MIGRATOR_DATABASE_URL", "postgresql://migrator@127.0.0.1:2/x")
    with pytest.raises(SystemExit):
        main(["orders", "current"])
    assert "127.0.0.1:2" in capsys.readouterr().err
