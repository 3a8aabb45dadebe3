"""This metric is the time at which the servers' certificates expire.

A lasting connection does not show a new certificate. So each look opens a connection of its own and
closes it after the handshake, before a password is sent and before the server logs anything. The
certificate is read and not verified, so that an expired one is read too.
"""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from cryptography.x509 import load_der_x509_certificate
from prometheus_client import Gauge

from libs.messaging.broker_url import PORTS, places
from libs.messaging.database_url import hosts_of
from libs.messaging.plain_text import PLAIN_MODES, ssl_mode
from libs.messaging.supervision import Supervisor
from libs.runtime.settings import ServiceSettings

CERTIFICATE_ENDS = Gauge(
    "certificate_expiry_timestamp_seconds",
    "When the certificate that this server shows ends, in seconds since 1970",
    ["server"],
)
LOOK_SECONDS = 3600.0
ANSWER_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0
"""Two looks at a server that does not answer have this pause between them."""
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""This is PostgreSQL's "SSL Session Encryption". A server that has TLS answers S."""


@dataclass(frozen=True)
class Server:
    """This server speaks TLS. A `database` is first asked to switch to TLS."""

    host: str
    port: int
    database: bool

    async def look(self) -> float:
        """Look at the certificate and set the metric. Returns the seconds until the next look.
        Raises OSError or TimeoutError where the server does not answer.
        """
        if ends := await self._certificate_ends():
            CERTIFICATE_ENDS.labels(str(self)).set(ends.timestamp())
        return LOOK_SECONDS

    async def _certificate_ends(self) -> datetime | None:
        """Return when the certificate ends; None where the server has no TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(self.host, self.port)
            try:
                if self.database:
                    writer.write(SSL_REQUEST)
                    if await reader.read(1) != b"S":
                        return None
                await writer.start_tls(context, server_hostname=self.host)
                shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            finally:
                writer.close()
        return load_der_x509_certificate(shown).not_valid_after_utc

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def servers_with_tls(settings: ServiceSettings) -> Iterator[Server]:
    """Yield the servers that these settings reach over TLS."""
    for database in settings.databases:
        if ssl_mode(database) not in PLAIN_MODES:
            for host, port in hosts_of(database):
                if host is not None and not host.startswith("/"):
                    yield Server(host, port or 5432, database=True)
    for broker in places(settings.rabbitmq_url):
        if broker.scheme == "amqps" and broker.host:
            yield Server(broker.host, broker.port or PORTS["amqps"], database=False)


@asynccontextmanager
async def watching_certificates(settings: ServiceSettings) -> AsyncIterator[None]:
    """Run loops that look at each server at the start and every hour."""
    parts = Supervisor(
        "certificates",
        expected=(OSError, TimeoutError, ValueError),  # ValueError: the server shows no certificate
        longest_pause=LONGEST_PAUSE_SECONDS,
    )
    for server in dict.fromkeys(servers_with_tls(settings)):
        parts.start(str(server), server.look)
    try:
        yield
    finally:
        await parts.stop(within=0)
