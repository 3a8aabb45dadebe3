"""A pod waits for the migrations before its service starts."""

import json
from collections.abc import Callable

import asyncpg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import URL
from typer.testing import CliRunner

from deploy.kubernetes import waiting_for_migrations
from deploy.kubernetes.__main__ import app
from deploy.kubernetes.manifests import entries
from libs.runtime.migrations import configuration
from libs.runtime.settings import DatabaseSettings

HISTORY = ScriptDirectory.from_config(configuration("orders", URL.create("postgresql")))
HEAD = HISTORY.get_current_head() or ""
FIRST = HISTORY.get_base() or ""


@pytest.fixture
def settings() -> DatabaseSettings:
    return DatabaseSettings(database_url="postgresql://orders_app:x@127.0.0.1:1/orders")


def test_an_empty_database_misses_everything_and_the_newest_nothing() -> None:
    assert waiting_for_migrations.missing("orders", None)[0] == FIRST
    assert waiting_for_migrations.missing("orders", HEAD) == []


def test_a_former_release_starts_on_the_schema_of_a_later_one() -> None:
    assert waiting_for_migrations.missing("orders", "ffff_of_the_future") == []


def test_each_reason_is_printed_once_and_the_wait_ends_when_nothing_is_missing(
    settings: DatabaseSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers: list[Callable[[], str | None]] = [
        lambda: (_ for _ in ()).throw(ConnectionRefusedError(111, "refused")),
        lambda: (_ for _ in ()).throw(asyncpg.InsufficientPrivilegeError("permission denied")),
        lambda: None,
        lambda: None,
        lambda: HEAD,
    ]

    async def revision(_: object) -> str | None:
        return answers.pop(0)()

    monkeypatch.setattr(waiting_for_migrations, "revision_of", revision)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    waiting_for_migrations.wait("orders", settings, pause=lambda: None)

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4, lines
    assert lines[1] == "waiting: permission denied"
    assert lines[2].startswith("waiting: orders has not had ")
    assert lines[3] == "orders: no migration is missing"


def test_a_service_that_is_not_there_is_named_in_one_line() -> None:
    done = CliRunner().invoke(app, ["wait", "order"])

    assert done.exit_code == 2
    assert "there is no service 'order'" in done.output


def test_secrets_are_new_each_time_and_all_that_is_needed() -> None:
    first, second = (json.loads(CliRunner().invoke(app, ["secrets"]).stdout) for _ in "ab")

    assert first["stringData"].keys() == entries().keys() == second["stringData"].keys()
    assert not set(first["stringData"].values()) & set(second["stringData"].values())
    assert first["stringData"]["customers_data_keys"].startswith("1:")
