"""Plain text is refused at the start outside the loopback, and anywhere with TLS=required."""

import pytest

from libs.messaging.__main__ import main
from libs.messaging.broker_url import BrokerUrlError
from libs.messaging.database_url import DatabaseUrlError, parse_database_url
from libs.messaging.plain_text import Tls, check_broker_is_private, check_database_is_private
from libs.runtime.settings import ServiceSettings, read_settings
from libs.runtime.start_failure import StartFailure

NEAR = ("127.0.0.1", "localhost", "[::1]", "127.8.9.10")
FAR = ("db", "10.0.0.1", "[2001:db8::1]", "localhost.example")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGSSLMODE", "PGHOST", "TLS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("mode", ["", "?sslmode=disable", "?sslmode=allow", "?sslmode=prefer"])
def test_a_database_is_reached_in_plain_text_on_the_loopback_only(mode: str) -> None:
    for host in NEAR:
        check_database_is_private(parse_database_url(f"postgresql://me@{host}/x{mode}"), "remote")
    for host in (*FAR, f"{NEAR[0]},{FAR[0]}"):
        url = parse_database_url(f"postgresql://me:secret@{host}/x{mode}")
        with pytest.raises(DatabaseUrlError, match="plain text: write sslmode=verify-full") as said:
            check_database_is_private(url, "remote")
        assert "secret" not in str(said.value)
        check_database_is_private(url, "off")


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_a_database_with_tls_may_be_anywhere(mode: str) -> None:
    for host in (*NEAR, *FAR):
        url = parse_database_url(f"postgresql://me@{host}/x?sslmode={mode}")
        check_database_is_private(url, "required")


def test_a_variable_that_the_driver_reads_in_its_environment_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = parse_database_url("postgresql://me@/x")
    check_database_is_private(url, "required")  # the URL names a socket
    monkeypatch.setenv("PGHOST", "db")
    with pytest.raises(DatabaseUrlError, match="to db in plain text"):
        check_database_is_private(url, "remote")
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    check_database_is_private(url, "required")


def test_tls_required_leaves_plain_text_to_sockets_only() -> None:
    check_database_is_private(parse_database_url("postgresql://me@/x?host=/run/pg"), "required")
    with pytest.raises(DatabaseUrlError, match=r"to 127\.0\.0\.1 in plain text"):
        check_database_is_private(parse_database_url("postgresql://me@127.0.0.1/x"), "required")


@pytest.mark.parametrize("scheme", ["amqp", "http"])
def test_a_broker_is_reached_in_plain_text_on_the_loopback_only(scheme: str) -> None:
    for host in NEAR:
        check_broker_is_private(f"{scheme}://me:secret@{host}/x", "remote")
        with pytest.raises(BrokerUrlError, match=f"write {scheme}s://"):
            check_broker_is_private(f"{scheme}://me:secret@{host}/x", "required")
    for host in FAR:
        with pytest.raises(BrokerUrlError, match=f"write {scheme}s://") as said:
            check_broker_is_private(f"{scheme}://me:secret@{host}/x", "remote")
        assert "secret" not in str(said.value)
        check_broker_is_private(f"{scheme}s://me:secret@{host}/x", "required")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://me:secret@db/x"),
        ("RABBITMQ_URL", "amqp://me:secret@mq/x"),
        ("RABBITMQ_MANAGEMENT_URL", "http://me:secret@mq:15672"),
    ],
)
@pytest.mark.parametrize("tls", ["remote", "required"])
def test_a_start_that_would_send_passwords_in_plain_text_is_refused(
    name: str, value: str, tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:secret@127.0.0.1/x?sslmode=require")
    monkeypatch.setenv("ROLE", "api")
    monkeypatch.setenv("TLS", tls)
    monkeypatch.setenv(name, value)
    with pytest.raises(StartFailure, match=f"^{name}: .* in plain text"):
        read_settings(SomeSettings)


class SomeSettings(ServiceSettings):
    service: str = "some"


def test_a_command_line_refuses_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RABBITMQ_URL", "amqp://me:secret@mq/x")
    with pytest.raises(SystemExit, match=r"^error: RABBITMQ_URL: amqp:// sends passwords to mq"):
        main(["topology", "apply"])
    monkeypatch.setenv("TLS", "perhaps")
    with pytest.raises(SystemExit, match=r"^error: TLS: it can be remote, required or off"):
        main(["topology", "apply"])
