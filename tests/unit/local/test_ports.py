import socket
import subprocess
import sys

from deploy.local.ports import Ports


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
    code = f"from deploy.local.ports import Ports; print(Ports().pick({default}))"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


def test_server_can_have_a_port_that_is_held_for_it() -> None:
    ports = Ports()
    port = ports.pick()

    with socket.create_server(("127.0.0.1", port)):
        pass
