"""Debian's Postgres has a certificate of our own authority. The embedded Postgres has no TLS."""

import secrets
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from cryptography import x509

from deploy import certificates
from deploy.certificates import Authority
from deploy.servers.ports import Ports
from deploy.servers.postgres import start_postgres
from deploy.servers.processes import Children, StartFailed
from libs.messaging.database import connect, describe_refusal
from libs.messaging.database_url import parse_database_url
from tests.fixtures.polling import eventually
from tests.fixtures.postgres_15 import running_postgres_15
from tests.fixtures.servers import server_folder


@dataclass(frozen=True)
class Server:
    url: str
    authority: Authority
    renew: Callable[[], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    authority, renewing = (
        Authority(tmp_path_factory.mktemp("authority")),
        list[Callable[[], None]](),
    )
    authority.make()
    with running_postgres_15(authority, renewing) as postgres:
        yield Server(postgres.url, authority, renewing[0])


async def serial(connection: asyncpg.Connection) -> int:
    """Return the serial number of the certificate that the server showed to this connection."""
    transport: Any = connection._transport  # type: ignore[attr-defined]
    shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(shown).serial_number


@pytest.mark.slow
async def test_a_client_that_trusts_the_authority_speaks_tls(server: Server) -> None:
    connection = await connect(server.url, "test")
    row = await connection.fetchrow("SELECT * FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    await connection.close()
    assert row is not None
    assert (row["ssl"], row["version"]) == (True, "TLSv1.3")


@pytest.mark.slow
async def test_plain_text_and_strangers_are_refused(server: Server, tmp_path: Path) -> None:
    bare = server.url.partition("?")[0]
    stranger = Authority(tmp_path)
    stranger.make()
    for url, words in (
        (f"{bare}?sslmode=disable", "refuses the user postgres or its password"),
        (f"{bare}?{stranger.database_parameters}", "is not accepted"),
        (server.url.replace("127.0.0.1", "127.0.0.2"), "no database answers at 127.0.0.2"),
    ):
        with pytest.raises((OSError, asyncpg.PostgresError)) as refusal:
            await connect(url, "test")
        assert words in describe_refusal(refusal.value, parse_database_url(url))


@pytest.mark.slow
async def test_its_certificate_is_renewed_while_connections_go_on(server: Server) -> None:
    before = await connect(server.url, "test")
    server.renew()

    async def is_new() -> bool:  # the postmaster gets its signal a moment later
        after = await connect(server.url, "test")
        shown = await serial(after)
        await after.close()
        return shown != await serial(before)

    await eventually(is_new)
    assert await before.fetchval("SELECT 1") == 1
    await before.close()


@pytest.mark.slow
async def test_a_certificate_that_is_over_is_renewed_too(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as back_then:
        back_then.setattr(certificates, "SERVER", -timedelta(minutes=5))
        server.renew()

    async def is_over() -> bool:
        with suppress(ssl.SSLCertVerificationError):
            await (await connect(server.url, "test")).close()
            return False
        return True

    await eventually(is_over)
    server.renew()

    async def connects() -> bool:
        return not await is_over()

    await eventually(connects)


@pytest.mark.slow
def test_the_embedded_postgres_has_no_tls_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSTGRES_BIN", raising=False)
    authority = Authority(tmp_path)
    authority.make()
    with server_folder() as folder:
        children = Children(folder, tied=True)
        with pytest.raises(StartFailed, match="TLS=required needs a Postgres that has TLS") as said:
            start_postgres(
                children,
                Ports().pick(),
                secrets.token_hex(8),
                durable=False,
                authority=authority,
            )
        assert not children.running()
    assert "\n" not in str(said.value)
