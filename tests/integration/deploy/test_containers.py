"""Two checkouts run as containers of one engine and share nothing: one started by
`docker compose`, the other by `up`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fixtures.checkout import Checkout, with_engine
from tests.fixtures.compose import composed, copy_compose, with_compose


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
def checkouts(tmp_path: Path) -> Iterator[tuple[Checkout, ...]]:
    made = tuple(Checkout(tmp_path / name / "mercado") for name in ("one", "two"))
    for each in made:
        each.take_this_one()
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
    checkouts: tuple[Checkout, ...],
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
    assert orders(by_compose) == 401


def orders(checkout: Checkout) -> int:
    return httpx.get(f"{checkout.address('orders')}/orders", timeout=20).status_code


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
    assert orders(checkout) == 401

    checkout.compose("up", "--detach", "--wait")

    assert orders(checkout) == 401
