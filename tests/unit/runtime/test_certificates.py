"""A service reads the certificates of the servers that its settings reach over TLS."""

from typing import Any

import pytest

from libs.runtime.certificates import servers_with_tls
from services.kpis.infrastructure.settings import KpisSettings

FULL = "sslmode=verify-full"


def watched(monkeypatch: pytest.MonkeyPatch, **urls: Any) -> list[str]:
    monkeypatch.delenv("PGSSLMODE", raising=False)
    settings = KpisSettings.model_construct(**urls)
    return [str(server) for server in servers_with_tls(settings)]


@pytest.mark.parametrize(
    ("database", "standby", "broker", "servers"),
    [
        (f"postgresql://u:p@db/x?{FULL}", "", "amqps://u:p@mq/v", ["db:5432", "mq:5671"]),
        ("postgresql://u:p@127.0.0.1/x", "", "amqp://u:p@127.0.0.1/v", []),
        (f"postgresql://u:p@one,two:6543/x?{FULL}", "", "", ["one:5432", "two:6543"]),
        (f"postgresql://u:p@/x?host=/var/run/postgresql&{FULL}", "", "", []),
        (
            f"postgresql://u:p@db/x?{FULL}",
            f"postgresql://u:p@standby/x?{FULL}",
            "amqps://u:p@mq:7/v",
            ["db:5432", "standby:5432", "mq:7"],
        ),
    ],
)
def test_each_server_that_is_reached_over_tls_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, database: str, standby: str, broker: str, servers: list[str]
) -> None:
    found = watched(
        monkeypatch, database_url=database, database_read_url=standby, rabbitmq_url=broker
    )
    assert found == servers
