"""A running container is found at the ports it has."""

from collections.abc import Mapping, Sequence
from typing import Any

from deploy.local.containers import Container

Places = Mapping[str, Sequence[Mapping[str, str]] | None]


def inspected(wanted: Places, published: Places) -> Mapping[str, Any]:
    """Return the part of `docker inspect` that is read."""
    labels = {
        "com.docker.compose.service": "orders",
        "com.docker.compose.config-hash": "5",
        "com.docker.compose.project.working_dir": "/there",
    }
    return {
        "Id": "1",
        "Image": "2",
        "Config": {"Labels": labels},
        "HostConfig": {"PortBindings": wanted},
        "State": {"Running": bool(published), "Restarting": False},
        "NetworkSettings": {"Ports": published},
    }


def test_any_free_port_is_the_one_that_the_engine_chose() -> None:
    wanted = {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]}
    chosen = {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "49153"}], "9000/tcp": None}
    assert Container.described(inspected(wanted, chosen)).ports == {8000: [49153]}


def test_ports_stay_in_the_order_of_the_file_whatever_the_engine_chose() -> None:
    places = [{"HostIp": "127.0.0.1", "HostPort": port} for port in ("0", "8083", "49153")]
    wanted, chosen = {"8000/tcp": places[:2]}, {"8000/tcp": places[1:]}
    assert Container.described(inspected(wanted, chosen)).ports == {8000: [49153, 8083]}


def test_a_stopped_container_has_the_ports_it_will_have() -> None:
    wanted = {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8000"}]}
    assert Container.described(inspected(wanted, {})).ports == {8000: [8000]}
