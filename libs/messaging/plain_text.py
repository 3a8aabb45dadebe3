"""The setting TLS decides where passwords and data may be sent without TLS."""

import os
from ipaddress import ip_address
from typing import Literal, TypeAlias

import sqlalchemy

from libs.messaging.broker_url import BrokerUrlError, places
from libs.messaging.database_url import DatabaseUrlError, hosts_of

Tls: TypeAlias = Literal["remote", "required", "off"]
"""`remote`: plain text only goes to the loopback. `required`: nothing is plain text. `off`: the
URLs decide, because something else keeps the network private."""

PLAIN_MODES = ("disable", "allow", "prefer")


def ssl_mode(url: sqlalchemy.URL) -> str:
    """Return the `sslmode` of connections to this database."""
    return str(url.query.get("sslmode") or os.environ.get("PGSSLMODE") or "prefer")


def check_database_is_private(url: sqlalchemy.URL, tls: Tls) -> None:
    """Raise DatabaseUrlError where `url` may lead to plain text that `tls` does not allow. A Unix
    socket is no network.
    """
    mode = ssl_mode(url)
    if mode not in PLAIN_MODES:
        return
    for host, _ in hosts_of(url):
        place = host or os.environ.get("PGHOST") or "/"
        if not place.startswith("/") and not _may_be_plain(place, tls):
            raise DatabaseUrlError(
                f"sslmode={mode} may send passwords to {place} in plain text: write"
                " sslmode=verify-full, with sslrootcert=FILE for an authority of your own (without"
                " a URL set PGSSLMODE and PGSSLROOTCERT)"
            )


def check_broker_is_private(text: str, tls: Tls) -> None:
    """Raise BrokerUrlError where RabbitMQ or its management API may get such plain text."""
    for url in places(text):
        if url.scheme in ("amqp", "http") and not _may_be_plain(url.host or "", tls):
            raise BrokerUrlError(
                f"{url.scheme}:// sends passwords to {url.host} in plain text: write"
                f" {url.scheme}s://, with ?cafile=FILE for an authority of your own"
            )


def is_loopback(host: str) -> bool:
    """Return whether data sent to this host stays on this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _may_be_plain(host: str, tls: Tls) -> bool:
    return tls == "off" or (tls == "remote" and is_loopback(host))
