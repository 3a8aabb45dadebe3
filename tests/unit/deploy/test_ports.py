import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.servers.ports import Ports
from deploy.servers.processes import StartFailed


def test_default_port_is_used_when_nobody_has_it() -> None:
    free = Ports().pick()

    assert Ports().pick(free) == free


def test_another_port_is_used_when_the_default_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]

        assert Ports().pick(taken) != taken


def test_port_is_given_only_once() -> None:
    ports = Ports()
    first = ports.pick()

    assert ports.pick(first) != first


def test_port_that_was_picked_is_held_until_its_server_can_have_it() -> None:
    ports = Ports()
    first = ports.pick()

    assert Ports().pick(first) != first
    assert picked_by_another_process(first) != first

    del ports
    assert picked_by_another_process(first) == first


def picked_by_another_process(default: int) -> int:
    code = f"from deploy.servers.ports import Ports; print(Ports().pick({default}))"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


def test_server_can_have_a_port_that_is_held_for_it() -> None:
    ports = Ports()
    port = ports.pick()

    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_port_that_a_variable_names_is_taken_from_the_environment_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORDERS_PORT", raising=False)
    ports = Ports()
    usual, in_file, named = (ports.pick() for _ in range(3))
    del ports

    assert Ports().pick_named("ORDERS_PORT", usual, tmp_path) == usual
    (tmp_path / ".env").write_text(f"ORDERS_PORT={in_file}\n")
    assert Ports().pick_named("ORDERS_PORT", usual, tmp_path) == in_file
    monkeypatch.setenv("ORDERS_PORT", str(named))
    assert Ports().pick_named("ORDERS_PORT", usual, tmp_path) == named


def test_a_named_port_that_is_taken_is_one_line_with_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("ORDERS_PORT", str(port))

        with pytest.raises(StartFailed, match=f"^port {port} of ORDERS_PORT is in use by another"):
            Ports().pick_named("ORDERS_PORT", 1, tmp_path)


@pytest.mark.parametrize("named", ["http", "0", "65536", "-1", "8000:8000", "٨"])
def test_a_malformed_port_is_one_line(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERS_PORT", named)

    with pytest.raises(StartFailed, match="a port is a number from 1 to 65535"):
        Ports().pick_named("ORDERS_PORT", 1, tmp_path)
