"""Two checkouts as containers of one engine: one started by `docker compose`, the other by `up`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.engine import Runtime, choose_runtime
from deploy.local.ports import Ports
from deploy.local.state import ROOT
from deploy.services import SERVICES
from tests.fixtures.compose import composed, copy_compose, with_compose

LEFT_OUT = (".git", ".venv", ".local", ".env", ".*_cache", ".hypothesis", "__pycache__", "tests")

with_engine = pytest.mark.skipif(
    choose_runtime().runtime is not Runtime.CONTAINERS or "TEST_POSTGRES_URL" in os.environ,
    reason="no Docker engine is used",
)


class Checkout:
    """A copy of this one, made under umask 077. `ports` are where `docker compose` is told to
    publish.
    """

    def __init__(self, place: Path) -> None:
        self.folder = place / "mercado"
        shutil.copytree(ROOT, self.folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
        subprocess.run(["chmod", "--recursive", "go=", self.folder], check=True)
        self._held = Ports()
        names = ("DB", "RABBITMQ", "RABBITMQ_MANAGEMENT", "PURCHASES")
        self.ports = {
            f"{name}_PORT": str(self._held.pick())
            for name in (*names, *(spec.name.upper() for spec in SERVICES))
        }

    def command(self, *command: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, "RUNTIME": "", "PWD": str(self.folder), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str, **environment: str) -> str:
        """What it prints; fails unless it ends well."""
        with self.command(*command, **environment) as process:
            output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, output
        return output

    def compose(self, *arguments: str, **environment: str) -> str:
        return self.run("docker", "compose", *arguments, **self.ports, **environment)

    def taskw(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "deploy.local", *arguments)

    def containers(self) -> set[str]:
        return set(self.compose("ps", "--quiet", "--no-trunc").split())

    def orders(self, method: str) -> int:
        url = f"http://127.0.0.1:{self.ports['ORDERS_PORT']}/orders"
        return httpx.request(method, url, timeout=20).status_code


@with_compose
def test_names_of_two_checkouts_called_alike_differ(tmp_path: Path) -> None:
    named = []
    for parent in ("one", "two"):
        folder = tmp_path / parent / "mercado"
        folder.mkdir(parents=True)
        copy_compose(folder)
        found = composed(folder)
        images = {each["image"] for each in found["services"].values()}
        volumes = {each["name"] for each in found["volumes"].values()}
        ours = {each for each in images if each.startswith("mercado-veiculo")}
        named.append({found["name"]} | volumes | ours)

    assert len(named[0]) == 1 + len(found["volumes"]) + 4
    assert not named[0] & named[1]


@pytest.fixture
def checkouts(tmp_path: Path) -> Iterator[tuple[Checkout, Checkout]]:
    made = Checkout(tmp_path / "one"), Checkout(tmp_path / "two")
    try:
        yield made
    finally:
        for each in made:
            each.taskw("clean", "--yes")


@with_engine
@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_checkouts_share_nothing_and_the_tools_know_what_docker_compose_started(
    checkouts: tuple[Checkout, Checkout],
) -> None:
    by_compose, by_up = checkouts
    up = ("up", "--detach", "--wait")
    starting = [
        by_compose.command("docker", "compose", *up, **by_compose.ports),
        by_up.command(sys.executable, "-m", "deploy.local", "up"),
    ]
    outputs = [process.communicate(timeout=900)[0] for process in starting]
    assert [process.returncode for process in starting] == [0, 0], "\n".join(outputs)

    assert by_up.taskw("up").startswith("already up\n")
    _tools_find_it_and_leave_it_alone(by_compose)
    _changed_code_runs_and_auth_stays(by_compose)

    before = by_compose.containers()
    by_up.taskw("clean", "--yes")
    assert by_compose.containers() == before
    assert by_compose.orders("GET") == 401


def _tools_find_it_and_leave_it_alone(checkout: Checkout) -> None:
    before = checkout.containers()
    assert f"127.0.0.1:{checkout.ports['ORDERS_PORT']}/docs" in checkout.taskw("status")
    assert "Invariants over all databases (0 purchases)" in checkout.taskw("verify")
    assert checkout.taskw("dead", "list") == "0 dead letters\n"
    assert checkout.taskw("topology", "check") == "all as it should be\n"
    assert "Application startup complete" in checkout.taskw("logs", "orders")
    assert "already up, started by docker compose" in checkout.taskw("up")
    assert "Invariants over all databases (8 purchases)" in checkout.taskw("demo")
    assert "Invariants over all databases (0 purchases)" in checkout.taskw("verify")
    checkout.compose("stop", "vehicles")
    assert "starting what does not run any more: vehicles" in checkout.taskw("up")
    assert checkout.containers() == before


def _changed_code_runs_and_auth_stays(checkout: Checkout) -> None:
    main = checkout.folder / "services" / "orders" / "main.py"
    main.write_text(f"# changed\n{main.read_text()}")
    checkout.compose("up", "--detach", "--wait", AUTH="on")
    first_line = checkout.compose("exec", "-T", "orders", "head", "-1", "services/orders/main.py")
    assert first_line == "# changed\n"
    assert checkout.orders("GET") == 401

    checkout.compose("up", "--detach", "--wait")

    assert checkout.orders("GET") == 401
