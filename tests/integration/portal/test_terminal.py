"""An operator manages users, tokens and keys with the portal's command line."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import jwt
import pytest
from prometheus_client import REGISTRY

from libs.kernel.ids import uuid7
from services.portal.infrastructure.store.postgres import Store
from services.portal.infrastructure.terminal import run
from services.portal.main import connect
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import INDEX_KEY, MASTER_KEY, execute, signed_in
from tests.integration.portal.test_audits import record

ROOT = Path(__file__).parents[3]
ANA = ("add-user", "ana@example.com", "--role", "admin", "--name", "Ana")


@dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str


Command = Callable[..., Awaitable[Done]]


@pytest.fixture
def environment(portal_database: str) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "ROLE": "api",
        "DATABASE_URL": portal_database,
        "DATA_KEYS": MASTER_KEY,
        "INDEX_KEY": INDEX_KEY,
        "PASSWORD": "correct horse battery",
    }


@pytest.fixture
def portal_command(
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Return what main.py does with arguments, without the seconds that a new process takes."""
    monkeypatch.chdir(tmp_path)

    def code_of(arguments: Sequence[str]) -> int:
        with pytest.raises(SystemExit) as ended:
            run(arguments, connect)
        return int(ended.value.code or 0)

    async def command(*arguments: str, **changed: str) -> Done:
        capsys.readouterr()  # the portal's log of this test's requests
        with patch.dict(os.environ, {**environment, **changed}, clear=True):
            code = await asyncio.to_thread(code_of, arguments)
        return Done(code, *capsys.readouterr())

    return command


async def test_a_command_is_run_by_the_portals_program(
    environment: dict[str, str], tmp_path: Path, portal: ServiceClient
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.portal.main", *ANA), cwd=tmp_path, env=environment
    )
    assert await asyncio.wait_for(process.wait(), 60) == 0
    await signed_in(portal, "ana@example.com", environment["PASSWORD"])


async def test_the_first_admin_is_made_signs_in_and_gets_a_token(
    portal_command: Command, portal: ServiceClient
) -> None:
    made = await portal_command(*ANA)
    assert made.code == 0, made.stderr
    await signed_in(portal, "ana@example.com", "correct horse battery")
    token = (await portal_command("token", "ana@example.com")).stdout.strip()
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["sub"], claims["roles"]) == (made.stdout.strip(), ["admin"])
    answer = await portal.get("/api/audits", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    again = await portal_command(*ANA)
    assert again.code == 2
    assert again.stderr == "error: Somebody signs in with this e-mail already.\n"


async def test_troubles_are_one_line_each(portal_command: Command) -> None:
    for arguments, changed, told in (
        (ANA, {"PASSWORD": "short"}, "A password has 10 to 128 characters."),
        (("token", "nobody@example.com"), {}, "nobody signs in with this e-mail"),
        (("rotate-keys",), {"DATA_KEYS": ""}, "DATA_KEYS: Field required"),
    ):
        done = await portal_command(*arguments, **changed)
        assert (done.code, done.stderr) == (2, f"error: {told}\n")


async def test_rotating_the_keys_adds_one_and_is_audited(
    portal_command: Command, portal_database: str, transactions: Store
) -> None:
    for _ in range(2):
        done = await portal_command("rotate-keys")
        assert done.code == 0, done.stderr
    rows = await execute(portal_database, "SELECT retired_at FROM signing_keys ORDER BY id")
    assert [row["retired_at"] is None for row in rows] == [False, True]
    audits = await transactions.run(lambda uow: uow.audits.page("default", None, 10))
    assert [each.entry.action for each in audits] == ["key.rotated", "key.rotated"]


async def test_a_tampered_audit_makes_the_verification_fail(
    portal_command: Command, portal_database: str, transactions: Store
) -> None:
    for _ in range(2):
        await record(transactions)
    assert (await portal_command("verify-audits")).code == 0
    await execute(portal_database, "UPDATE audits SET actor = 'eve' WHERE sequence = 2")
    done = await portal_command("verify-audits")
    assert (done.code, done.stdout) == (
        1,
        '{"checked": 1, "problem": "entry 2 was changed"}\n',
    )


async def test_the_result_of_a_check_stands_among_the_audits(
    portal_command: Command, portal: ServiceClient
) -> None:
    assert (await portal_command("record-check", "--purchases", "7")).code == 0
    options = ["--purchases", "9", "--passed-over", "2", "--broken", "one", "--broken", "two"]
    assert (await portal_command("record-check", *options)).code == 0
    await portal_command(*ANA)
    await signed_in(portal, "ana@example.com", "correct horse battery")
    found = (await portal.get("/api/audits?action=invariants.checked")).json()["items"]
    assert [(each["result"], each["actor"]) for each in found] == [
        ("failed", "checker"),
        ("done", "checker"),
    ]
    assert found[0]["details"] == {"purchases": 9, "passed_over": 2, "broken": "one; two"}


async def test_a_backup_stands_among_the_audits_and_its_time_is_a_metric(
    portal_command: Command, portal: ServiceClient, portal_database: str
) -> None:
    [look] = [each.work for each in portal.service.loops if each.name == "age of the backup"]
    await look()
    assert age_of_the_backup() == 0
    assert (await portal_command("record-backup", "20261127T140500Z")).code == 0
    assert (await portal_command("record-backup", "20261127T140500Z", "--checked")).code == 0
    failed = ("record-backup", "20261126T140500Z", "--checked", "--failed")
    assert (await portal_command(*failed)).code == 0
    audits = await execute(
        portal_database, "SELECT action, target, result, at FROM audits ORDER BY sequence"
    )
    assert [(each["action"], each["target"], each["result"]) for each in audits] == [
        ("backup.made", "20261127T140500Z", "done"),
        ("backup.checked", "20261127T140500Z", "done"),
        ("backup.checked", "20261126T140500Z", "failed"),
    ]
    await look()
    assert age_of_the_backup() == pytest.approx(audits[0]["at"].timestamp(), abs=1e-3)


def age_of_the_backup() -> float | None:
    return REGISTRY.get_sample_value("backup_last_success_timestamp_seconds")


async def test_a_buyer_is_made_with_the_customer_record_that_was_there_first(
    portal_command: Command, portal_database: str
) -> None:
    customer_id = str(uuid7())
    buyer = ("add-user", "bia@example.com", "--role", "buyer", "--name", "Bia")
    done = await portal_command(*buyer, "--customer-id", customer_id)
    assert done.code == 0, done.stderr
    [row] = await execute(portal_database, "SELECT customer_id FROM users")
    assert str(row["customer_id"]) == customer_id
