"""This module parses database URLs with libpq's parameters, as providers write them, for asyncpg.

A parameter that is not known here is refused in a sentence and not passed on, because a misspelt
`sslmode` would otherwise give a plain connection.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

DRIVERS = frozenset(
    {"postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2", "postgresql+asyncpg"}
)
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SESSIONS = ("any", "primary", "standby", "prefer-standby", "read-write", "read-only")
FILES = ("sslrootcert", "sslcert", "sslkey")
SENT_TO_THE_SERVER = ("application_name", "options")
PARAMETERS = frozenset(
    {
        "channel_binding",
        "connect_timeout",
        "host",
        "port",
        "sslmode",
        "target_session_attrs",
        *FILES,
        *SENT_TO_THE_SERVER,
    }
)
SYSTEM = "system"
"""This `sslrootcert` means the authorities that this machine trusts."""

Dsn: TypeAlias = str | Callable[[], str]
"""This is a database URL, or a function that returns the current one: a password can change while
the process runs.
"""

_HOSTS = re.compile(r"(?P<account>[^:/?#]+://(?:[^/?#]*@)?)(?P<hosts>[^/?#@]*)(?P<rest>(?s:.*))")
_HOST = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<name>[^:\[\]]*))(?::(?P<port>\d{1,5}))?")


class DatabaseUrlError(ValueError):
    """The URL cannot be used. One sentence says why, without the password."""


def parse_database_url(text: str) -> URL:
    """Return a URL of any of DRIVERS as `postgresql://`, its parameters in libpq's words. One host
    stands in `host` and `port`; several, and the folder of a socket, stand in the query of that
    name. Raises DatabaseUrlError for any other URL.
    """
    text, listed = _without_list_of_hosts(text)
    try:
        url = make_url(text)
    except ArgumentError:
        raise DatabaseUrlError("is not a URL: write postgresql://USER:PASSWORD@HOST/NAME") from None
    except ValueError:
        raise DatabaseUrlError("the port is not a number") from None
    if url.drivername not in DRIVERS:
        raise DatabaseUrlError(f"{url.drivername}:// is not a Postgres URL")
    if not url.database:
        raise DatabaseUrlError("names no database")
    query = {name: _value(name, value) for name, value in url.query.items()}
    if "ssl" in query:  # as SQLAlchemy's asyncpg URLs spell it
        query.setdefault("sslmode", query.pop("ssl"))
    _check(query)
    hosts = query.pop("host", listed)
    return _with_hosts(url.set(drivername="postgresql"), hosts, query)


def plain_dsn(url: URL) -> str:
    """Return the URL as text, with the password; `parse_database_url` can read it again."""
    return url.render_as_string(hide_password=False)


def url_from_parts(*, user: str, password: str, host: str, port: int, database: str) -> URL:
    """Return the URL of these parts. Raises DatabaseUrlError where they make none."""
    account = URL.create("postgresql", username=user, password=password, database=database)
    return _with_hosts(account, host, {"port": str(port)})


def hosts_of(url: URL) -> list[tuple[str | None, int | None]]:
    """Return where `url` leads, in this order. A host that begins with / is the folder of a socket;
    None is left to the driver and its environment.
    """
    listed = url.query.get("host")
    if listed is None:
        return [(url.host, url.port)]
    ports = str(url.query["port"]).split(",")
    hosts = str(listed).split(",")
    return list(zip(hosts, map(int, ports), strict=True))


def place_of(url: URL) -> str:
    """Return the hosts and ports, for people."""
    return ", ".join(
        f"{'the local socket' if host is None or host.startswith('/') else host}:{port or 5432}"
        for host, port in hosts_of(url)
    )


def unreadable_file(query: Mapping[str, object]) -> str | None:
    """Return the first parameter whose file cannot be read, with that file and why; None if all
    can. What the URL does not say, the driver reads in PGSSLROOTCERT, PGSSLCERT and PGSSLKEY.
    """
    for parameter in FILES:
        name = parameter if parameter in query else f"PG{parameter.upper()}"
        file = str(query.get(parameter) or os.environ.get(name) or "")
        if file and file != SYSTEM:
            try:
                Path(file).read_bytes()
            except OSError as error:
                return f"{name} names {file}: {error.strerror}"
    return None


def _without_list_of_hosts(text: str) -> tuple[str, str]:
    """Return the URL without its list of hosts, and that list: SQLAlchemy takes one host there."""
    found = _HOSTS.fullmatch(text.strip())
    if found is None or "," not in found["hosts"]:
        return text.strip(), ""
    return found["account"] + found["rest"], found["hosts"]


def _value(name: str, value: str | tuple[str, ...]) -> str:
    if isinstance(value, str):
        return value
    if name in ("host", "port"):  # as SQLAlchemy lists hosts
        return ",".join(value)
    raise DatabaseUrlError(f"{name[:40]} is given twice")


def _check(query: Mapping[str, str]) -> None:
    for name in sorted(query.keys() - PARAMETERS):
        known = ", ".join(sorted(PARAMETERS))
        raise DatabaseUrlError(
            f"the parameter {name[:40]} is not known, leave it out; known are {known}"
        )
    _check_choice(query, "sslmode", SSL_MODES)
    _check_choice(query, "target_session_attrs", SESSIONS)
    if query.get("channel_binding") == "require":
        raise DatabaseUrlError(
            "channel_binding=require is more than the driver can do: write channel_binding=prefer,"
            " and sslmode=verify-full, which keeps a false server out too"
        )
    _check_choice(query, "channel_binding", ("disable", "prefer"))
    seconds = query.get("connect_timeout", "1")
    if not (seconds.isascii() and seconds.isdecimal() and 1 <= int(seconds[:9]) <= 600):
        raise DatabaseUrlError("connect_timeout is a number of seconds from 1 to 600")
    if query.get("sslrootcert") == SYSTEM and query.get("sslmode") != "verify-full":
        raise DatabaseUrlError("sslrootcert=system goes with sslmode=verify-full only")
    if "sslkey" in query and "sslcert" not in query:
        raise DatabaseUrlError("sslkey is given without sslcert")


def _check_choice(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> None:
    if name in query and query[name] not in choices:
        raise DatabaseUrlError(f"{name} is one of {', '.join(choices)}")


def _with_hosts(url: URL, hosts: str, query: dict[str, str]) -> URL:
    ports = query.pop("port", "")
    if not hosts:
        if ports:
            url = url.set(port=_port(ports))
        return url.set(query=query)
    places = list(_places(hosts, ports))
    if len(places) == 1 and not places[0][0].startswith("/"):
        return url.set(host=places[0][0], port=places[0][1], query=query)
    where = {
        "host": ",".join(host for host, _ in places),
        "port": ",".join(str(port) for _, port in places),
    }
    return url.set(host=None, port=None, query=query | where)


def _places(hosts: str, ports: str) -> Iterator[tuple[str, int]]:
    names = [name.strip() for name in hosts.split(",")]
    usual = [part.strip() for part in ports.split(",")] if ports else ["5432"]
    if len(usual) == 1:
        usual *= len(names)
    if len(usual) != len(names):
        raise DatabaseUrlError(f"names {len(names)} hosts and {len(usual)} ports")
    for name, port in zip(names, usual, strict=True):
        if name.startswith("/"):
            yield name, _port(port)
            continue
        found = _HOST.fullmatch(name)
        if found is None:  # an IPv6 address without brackets, as the parameter `host` takes it
            if name.count(":") < 2 or "[" in name:
                raise DatabaseUrlError("a host in the list, or its port, cannot be read")
            yield name, _port(port)
            continue
        host = found["v6"] or found["name"]
        if not host:
            raise DatabaseUrlError("a host in the list is empty")
        yield host, _port(found["port"] or port)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= 65535):
        raise DatabaseUrlError("a port is a number from 1 to 65535")
    return int(text)
