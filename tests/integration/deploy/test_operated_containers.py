"""A system of containers sells while its secrets are replaced, and comes back from a backup."""

import asyncio
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo.market import Market
from deploy.rotation import ROTATIONS
from deploy.services import SERVICES
from tests.fixtures.buying import buy_during
from tests.fixtures.checkout import Checkout, with_engine
from tests.fixtures.polling import eventually

pytestmark = [with_engine, pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(1800)]

EVERY_SECONDS = 5
UP = ("up", "--detach", "--wait")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checkout]:
    project = f"mercado-operated-{secrets.token_hex(4)}"
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", project)
    made = Checkout(tmp_path / "mercado")
    made.take_this_one()
    made.run("docker", "volume", "create", f"{project}_backups")
    try:
        yield made
    finally:
        made.remove()
        made.run("docker", "volume", "rm", f"{project}_backups")


def market_of(checkout: Checkout) -> Market:
    return Market({spec.name: checkout.address(spec.name) for spec in SERVICES}, timeout=120)


async def test_secrets_and_certificates_are_replaced_while_purchases_run(
    checkout: Checkout,
) -> None:
    checkout.compose(*UP)
    market = market_of(checkout)
    bought = 0
    try:
        for command in (("certificates",), *(("rotate", what) for what in ROTATIONS)):
            work = asyncio.to_thread(checkout.taskw, *command)
            bought += len(await buy_during(market, work))
    finally:
        await market.close()
    checkout.compose("restart", *(spec.name for spec in SERVICES))  # with the new secrets only
    checkout.compose(*UP)
    assert f"Invariants over all databases ({bought} purchases" in checkout.taskw("verify")


async def test_a_lost_database_comes_back_from_the_backup_of_the_day(
    checkout: Checkout,
) -> None:
    identity = new_identity(checkout)
    recipient = identity.partition("=")[2].splitlines()[0]
    checkout.folder.joinpath(".env").write_text(
        f"BACKUP_RECIPIENT={recipient}\n"
        f"BACKUP_EVERY_SECONDS={EVERY_SECONDS}\n"
        "COMPOSE_PROFILES=backups\n"
    )
    checkout.compose(*UP)
    market = market_of(checkout)
    try:
        bought = len(await buy_during(market, asyncio.sleep(0)))
        known = made_backups(checkout)

        async def another() -> bool:  # the backup began after the purchases
            return len(made_backups(checkout) - known) >= 2

        await eventually(another, timeout=120)
        checked = checkout.compose("run", "--rm", "-T", "backup", "check", given=identity)
        assert "holds: " in checked

        checkout.compose("--profile", "backups", "down")
        checkout.run("docker", "volume", "rm", f"{os.environ['COMPOSE_PROJECT_NAME']}_db")
        checkout.compose("run", "--rm", "-T", "restore", given=identity)
        checkout.compose(*UP)
        verified = checkout.taskw("verify")
        assert f"Invariants over all databases ({bought} purchases" in verified
        await buy_during(market, asyncio.sleep(0))
    finally:
        await market.close()


def new_identity(checkout: Checkout) -> str:
    """Make an identity as the README does. Returns it without the output of compose itself."""
    command = ("--progress=quiet", "run", "--rm", "--no-deps", "backup", "new-identity")
    printed = checkout.compose(*command)
    found = re.search(r"^# BACKUP_RECIPIENT=.*\nAGE-SECRET-KEY-.*$", printed, re.MULTILINE)
    assert found is not None, printed
    return f"{found[0]}\n"


def made_backups(checkout: Checkout) -> set[str]:
    log = checkout.compose("logs", "--no-log-prefix", "backup")
    return set(re.findall(r"^backup (\S+):", log, re.MULTILINE))
