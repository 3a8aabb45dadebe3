"""Services connect to the database over its Unix socket where there is one, else by its port."""

from pathlib import Path

import pytest

from deploy.local.engine import Runtime
from deploy.local.state import State
from deploy.servers import postgres
from libs.messaging.database_url import parse_database_url

SERVICES = {"portal": 8086}


def database_url(folder: Path, runtime: Runtime) -> str:
    state = State(runtime, postgres=5433, rabbitmq=1, management=2, services=SERVICES)
    return state.installation(folder).database_url("orders", "orders_app")


def test_a_private_server_is_reached_over_the_socket_beside_its_data(tmp_path: Path) -> None:
    url = parse_database_url(database_url(tmp_path, Runtime.LOCAL))
    assert (url.host, url.database, url.username) == (None, "orders", "orders_app")
    assert Path(str(url.query["host"])).name.startswith(("postgres", "data-"))
    assert url.query["port"] == "5433"


@pytest.mark.parametrize(
    ("runtime", "depth"), [(Runtime.CONTAINERS, 1), (Runtime.LOCAL, 120)], ids=str
)
def test_a_container_and_a_folder_too_deep_for_a_socket_are_reached_by_the_port(
    tmp_path: Path, runtime: Runtime, depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "data_folder", lambda folder: folder / ("d" * depth))
    url = parse_database_url(database_url(tmp_path, runtime))
    assert (url.host, url.port) == ("127.0.0.1", 5433)
