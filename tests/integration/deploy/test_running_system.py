"""The commands of `./taskw` work on a running system with AUTH=on."""

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.state import load_state
from tests.integration.deploy.systems import command, kill, own_place, private_only, records, run

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(300), private_only]


@pytest.fixture(scope="module")
def running() -> Iterator[Path]:
    """Yield the folder of a running system. Each test leaves all of it running."""
    with own_place() as folder:
        code, output = run(folder, "up", AUTH="on")
        assert code == 0, output
        yield folder


@pytest.mark.parametrize(
    "names", [["kpis"], ["postgres"], ["epmd"], ["orders", "rabbitmq"]], ids=lambda names: names[-1]
)
def test_up_starts_only_what_died_and_keeps_the_rest_its_ports_and_its_logs(
    running: Path, names: list[str]
) -> None:
    before, state = records(running), load_state(running)
    logs = {name: (running / "logs" / f"{name}.log").read_bytes() for name in before}
    for name in names:
        kill(before[name])

    code, output = run(running, "status")
    lost = ", ".join(sorted(names, key=lambda name: (-before[name].rank, name)))
    assert code == 1
    assert output.endswith(f"not running any more: {lost} (./taskw up starts it again)\n")

    code, output = run(running, "up")

    assert code == 0, output
    assert f"starting what does not run any more: {lost}\n" in output
    assert "AUTH=on, as at the last start" in output
    after = records(running)
    assert before.keys() == after.keys()
    assert {name for name in before if after[name].birth != before[name].birth} == set(names)
    assert load_state(running) == state
    for name, written in logs.items():
        assert (running / "logs" / f"{name}.log").read_bytes().startswith(written)
    for name in state.services:
        assert httpx.get(f"{state.service_url(name)}/ready").is_success
    assert httpx.get(f"{state.service_url('orders')}/orders").status_code == 401


@pytest.mark.parametrize("server", ["postgres", "rabbitmq"])
def test_verify_with_a_server_gone_is_one_line(running: Path, server: str) -> None:
    kill(records(running)[server])
    try:
        code, output = run(running, "verify")
        assert (code, output) == (
            1,
            f"error: cannot verify: not running any more: {server} (./taskw up starts it again)\n",
        )
    finally:
        code, output = run(running, "up")
        assert code == 0, output


def test_a_service_is_sent_what_its_views_have_missed_or_the_reason_is_one_line(
    running: Path,
) -> None:
    code, output = run(running, "topology", "check")
    assert (code, output) == (0, "all as it should be\n")
    code, output = run(running, "topology", "replay", "kpis")
    assert code == 0, output
    assert "kpis.on.order.completed.v1: 0 events\n" in output
    assert output.endswith("sent 0 events that kpis had not handled\n")
    code, output = run(running, "topology", "replay", "orders")
    assert (code, output.strip()) == (
        1,
        "error: no queue of 'orders' is bounded, so none has dropped anything",
    )


def test_another_auth_than_that_of_what_runs_is_refused(running: Path) -> None:
    code, output = run(running, "up", AUTH="off")

    assert (code, output) == (1, "error: already up with AUTH=on: ./taskw down first\n")


def test_ctrl_c_ends_logs_that_are_followed_well(running: Path) -> None:
    with command(running, "logs", "orders", "--follow") as logs:
        assert logs.stdout is not None
        logs.stdout.readline()
        logs.send_signal(signal.SIGINT)
        rest = logs.stdout.read()

    assert logs.returncode == 0, rest


def test_a_demo_has_a_system_of_its_own_beside_the_one_that_runs(running: Path) -> None:
    before = records(running)

    code, output = run(running, "demo")

    assert code == 0, output
    assert "Invariants over all databases (8 purchases)" in output
    assert "sign in as" not in output, "there is nothing left to sign in to"
    assert records(running) == before
    assert not (running / "demo").exists()
    code, output = run(running, "verify")
    assert "(0 purchases)" in output
