"""Users, tokens and keys from the terminal, as an operator of the machine types it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest

from libs.messaging.unit_of_work import Transactions
from services.portal.infrastructure.postgres import PortalUnitOfWork
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import INDEX_KEY, MASTER_KEY, execute, signed_in
from tests.integration.portal.test_audits import record

ROOT = Path(__file__).parents[3]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def portal_command(portal_database: str, tmp_path: Path) -> Command:
    def run(*arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "ROLE": "api",
            "DATABASE_URL": portal_database,
            "DATA_KEYS": MASTER_KEY,
            "INDEX_KEY": INDEX_KEY,
            "PASSWORD": "correct horse battery",
            **changed,
        }
        return subprocess.run(
            [sys.executable, "-m", "services.portal.main", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


async def test_the_first_admin_is_made_signs_in_and_gets_a_token(
    portal_command: Command, portal: ServiceClient
) -> None:
    ana = ("add-user", "ana@example.com", "--role", "admin", "--name", "Ana")
    made = portal_command(*ana)
    assert made.returncode == 0, made.stderr
    await signed_in(portal, "ana@example.com", "correct horse battery")
    token = portal_command("token", "ana@example.com").stdout.strip()
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["sub"], claims["roles"]) == (made.stdout.strip(), ["admin"])
    answer = await portal.get("/api/audits", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    again = portal_command(*ana)
    assert again.returncode == 2
    assert again.stderr == "error: somebody signs in with this e-mail already\n"


async def test_troubles_are_one_line_each(portal_command: Command) -> None:
    user = ("add-user", "ana@example.com", "--role", "admin", "--name", "Ana")
    for arguments, changed, told in (
        (user, {"PASSWORD": "short"}, "a password has 10 to 128 characters"),
        (("token", "nobody@example.com"), {}, "nobody signs in with this e-mail"),
        (("rotate-keys",), {"DATA_KEYS": ""}, "DATA_KEYS: Field required"),
    ):
        done = portal_command(*arguments, **changed)
        assert (done.returncode, done.stderr) == (2, f"error: {told}\n")


async def test_rotating_the_keys_adds_one_and_is_audited(
    portal_command: Command, portal_database: str, transactions: Transactions[PortalUnitOfWork]
) -> None:
    for _ in range(2):
        done = portal_command("rotate-keys")
        assert done.returncode == 0, done.stderr
    rows = await execute(portal_database, "SELECT retired_at FROM signing_keys ORDER BY id")
    assert [row["retired_at"] is None for row in rows] == [False, True]
    audits = await transactions.run(lambda uow: uow.audits.page("default", None, 10))
    assert [each.entry.action for each in audits] == ["key.rotated", "key.rotated"]


async def test_a_tampered_audit_makes_the_verification_fail(
    portal_command: Command, portal_database: str, transactions: Transactions[PortalUnitOfWork]
) -> None:
    for _ in range(2):
        await record(transactions)
    assert portal_command("verify-audits").returncode == 0
    await execute(portal_database, "UPDATE audits SET actor = 'eve' WHERE sequence = 2")
    done = portal_command("verify-audits")
    assert (done.returncode, done.stdout) == (
        1,
        '{"checked": 1, "problem": "entry 2 was changed"}\n',
    )
