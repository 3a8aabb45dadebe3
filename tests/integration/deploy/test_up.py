"""`./taskw up` starts and stops the whole system as private processes in a folder of its own."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.demo.catalogue import CATALOGUE
from deploy.local.state import State, load_state
from deploy.servers.processes import recorded
from tests.integration.deploy.systems import command, kill, own_place, private_only, records, run

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(300), private_only]


@pytest.fixture(scope="module")
def installed() -> Iterator[Path]:
    """Yield the folder of the system, whose databases stay from one test to the next."""
    with own_place() as folder:
        yield folder


@pytest.fixture
def folder(installed: Path) -> Iterator[Path]:
    """Yield the same folder. Nothing runs in it before or after the test."""
    yield installed
    run(installed, "down")


def is_ready(state: State, name: str) -> bool:
    return httpx.get(f"{state.service_url(name)}/ready").is_success


def assert_market_is_open(state: State, output: str) -> None:
    """Check that the printed sign-ins work, and that there is something to buy."""
    portal = state.service_url("portal")
    assert portal in output
    for role in ("buyer", "seller", "operator", "admin"):
        [(email, password)] = re.findall(rf"({role}@\S+) +(\S+)", output)
        answer = httpx.post(f"{portal}/api/sessions", json={"email": email, "password": password})
        assert answer.json()["user"]["roles"] == [role]
    vehicles = httpx.get(f"{state.service_url('vehicles')}/vehicles?limit=100").json()
    assert len(vehicles["items"]) == len(CATALOGUE)


def test_system_comes_up_says_so_again_starts_what_was_killed_and_goes_down(folder: Path) -> None:
    code, output = run(folder, "up")
    assert code == 0, output
    state = load_state(folder)
    assert all(is_ready(state, name) for name in state.services), output
    assert_market_is_open(state, output)

    code, output = run(folder, "up")
    assert (code, output.splitlines()[0]) == (0, "already up")

    before = records(folder)
    kill(before["kpis"])
    code, output = run(folder, "up")
    assert code == 0, output
    after = records(folder)
    assert [name for name in before if after[name].birth != before[name].birth] == ["kpis"]

    code, output = run(folder, "down")
    assert (code, recorded(folder)) == (0, [])
    with pytest.raises(httpx.ConnectError):
        is_ready(state, "orders")


def test_data_outlives_a_stop_and_a_start_that_was_killed(folder: Path) -> None:
    code, output = run(folder, "up")
    assert code == 0, output
    order = httpx.post(
        f"{load_state(folder).service_url('orders')}/orders",
        json={},
        headers={"X-Tenant-Id": "acme", "Idempotency-Key": "1"},
    ).raise_for_status()
    code, output = run(folder, "down")
    assert code == 0, output

    kill_a_start(folder)
    code, output = run(folder, "up")
    assert code == 0, output
    assert "stopped what an earlier run had left: postgres, rabbitmq, epmd" in output
    url = f"{load_state(folder).service_url('orders')}/orders/{order.json()['id']}"
    httpx.get(url, headers={"X-Tenant-Id": "acme"}).raise_for_status()


def test_ctrl_c_ends_dev_well(folder: Path) -> None:
    with command(folder, "up", "--follow") as dev:
        assert dev.stdout is not None
        for line in dev.stdout:
            if "Application startup complete" in line:  # the output begins with this run
                break
        dev.send_signal(signal.SIGINT)
        output = dev.stdout.read()

    assert dev.returncode == 0, output
    assert output.splitlines()[-1].startswith("stopped ")
    assert recorded(folder) == []


def kill_a_start(folder: Path) -> None:
    """Begin to start the system, and kill that process before it ends."""
    with command(folder, "up") as starting:
        assert starting.stdout is not None
        for line in starting.stdout:
            if "Postgres" in line:
                break
        starting.kill()


def test_service_that_cannot_start_shows_why_and_everything_is_stopped(folder: Path) -> None:
    code, output = run(folder, "up", CODE_LIFETIME_SECONDS="soon")

    assert code == 1
    assert "error: payments ended with code 2:\n" in output
    assert "CODE_LIFETIME_SECONDS" in output
    assert "Traceback" not in output
    assert recorded(folder) == []


def test_interrupted_start_leaves_nothing_running(folder: Path) -> None:
    with command(folder, "up") as starting:
        assert starting.stdout is not None
        for line in starting.stdout:
            if "Postgres" in line:
                break
        records = recorded(folder)
        starting.send_signal(signal.SIGINT)
        output = starting.stdout.read()

    assert starting.returncode == 130, output
    assert {record.name for record in records} >= {"postgres", "rabbitmq", "epmd"}
    assert [record.process() for record in records] == [None] * len(records)
