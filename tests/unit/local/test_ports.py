import socket

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
