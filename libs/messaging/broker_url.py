"""This module parses RABBITMQ_URL and RABBITMQ_MANAGEMENT_URL, and explains refusals of the broker.

Over TLS the broker's certificate is always checked, against the authorities of the machine or the
file that the parameter `cafile` names. The hosts of a cluster are a list, as in
`amqp://me:secret@mq-1:5672,mq-2:5672/shop`.
"""

import random
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

from aiormq.exceptions import AMQPError
from yarl import URL

BrokerUrl: TypeAlias = str | Callable[[], str]
"""This is a URL, or a function that returns the current one, as a password can change."""

PORTS = {"amqp": 5672, "amqps": 5671}
FILES = ("cafile", "certfile", "keyfile")

Connected = TypeVar("Connected")
_HOSTS = re.compile(r"(?P<account>[^:/?#]+://(?:[^/?#]*@)?)(?P<hosts>[^/?#@]*)(?P<rest>(?s:.*))")


def one_host_each(text: str) -> list[str]:
    """Return the same URL once for each host of its list, in that order."""
    found = _HOSTS.fullmatch(text)
    if found is None:
        return [text]
    return [found["account"] + host.strip() + found["rest"] for host in found["hosts"].split(",")]


def places(url: BrokerUrl) -> list[URL]:
    """Return where the broker can be reached now, in the order of the list."""
    return [URL(each) for each in one_host_each(url if isinstance(url, str) else url())]


def of_this_moment(url: BrokerUrl) -> URL:
    """Return one of the places, at random. So clients spread over the nodes of a cluster, and a
    client whose node is gone tries another one after a few attempts.
    """
    return random.choice(places(url))  # noqa: S311  # nosec B311  # no secret


async def connect_to_any(
    url: BrokerUrl, connect: Callable[[URL], Awaitable[Connected]]
) -> Connected:
    """Return the result of `connect` for the first place where it succeeds. The places are tried in
    random order. When all fail, raise what `connect` raised for the last one.
    """
    asked = places(url)
    random.shuffle(asked)
    for place in asked[:-1]:
        try:
            return await connect(place)
        except Exception:  # noqa: S112  # nosec B112  # the last one's is told
            continue
    return await connect(asked[-1])


class BrokerUrlError(ValueError):
    """The URL cannot be used. One sentence says why, without the password."""


def parse_broker_url(text: str) -> URL:
    """Return the first host's amqp:// or amqps:// URL, as aiormq takes it. Raises BrokerUrlError
    for what is wrong with any of the hosts.
    """
    first, *_ = [_parse_place(each) for each in one_host_each(text)]
    return first


def vhost_of(text: str) -> str:
    """Return the virtual host that this URL of a broker names."""
    return places(text)[0].path.removeprefix("/") or "/"


def _parse_place(text: str) -> URL:
    url = _parse(text, tuple(PORTS))
    for name in sorted(set(url.query) - set(FILES)):
        if name == "no_verify_ssl":
            raise BrokerUrlError("no_verify_ssl would trust any server: name its CA in cafile")
        known = ", ".join(FILES)
        raise BrokerUrlError(
            f"the parameter {name[:40]} is not known, leave it out; known are {known}"
        )
    if url.query and url.scheme != "amqps":
        raise BrokerUrlError(f"{next(iter(url.query))} goes with amqps:// only")
    if "keyfile" in url.query and "certfile" not in url.query:
        raise BrokerUrlError("keyfile is given without certfile")
    return url


@dataclass(frozen=True)
class ManagementUrl:
    """`url` holds user and password, and no slash at its end."""

    url: str
    cafile: str | None

    def trusted(self) -> ssl.SSLContext | bool:
        """Return what httpx takes as `verify`. Raises OSError where the file cannot be used."""
        return ssl.create_default_context(cafile=self.cafile) if self.cafile else True


def parse_management_url(text: str) -> ManagementUrl:
    """Parse an http:// or https:// URL of the management API, with `cafile` as its only parameter.
    Raises BrokerUrlError for any other.
    """
    url = _parse(text, ("http", "https"))
    for name in sorted(set(url.query) - {"cafile"}):
        raise BrokerUrlError(f"the parameter {name[:40]} is not known; known is cafile")
    if url.query and url.scheme != "https":
        raise BrokerUrlError("cafile goes with https:// only")
    return ManagementUrl(str(url.with_query(None)).rstrip("/"), url.query.get("cafile"))


def _parse(text: str, schemes: tuple[str, ...]) -> URL:
    try:
        url = URL(text)
        _ = url.port
    except ValueError:
        raise BrokerUrlError("is not a URL, or its port is not a number") from None
    if url.scheme not in schemes:
        raise BrokerUrlError(f"does not begin with {' or '.join(f'{each}://' for each in schemes)}")
    if not url.host:
        raise BrokerUrlError("names no host")
    for name in url.query:
        if len(url.query.getall(name)) > 1:
            raise BrokerUrlError(f"{name[:40]} is given twice")
    return url


def describe_broker_refusal(error: BaseException, url: URL) -> str:
    """Say what an error of connecting means for the operator, in one line without the password."""
    place = f"{url.host}:{url.port or PORTS.get(url.scheme, 5672)}"
    cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate of the broker at {place} is not accepted: {cause.verify_message}"
    if isinstance(cause, OSError) and (file := _unreadable_file(url)):
        return file
    if isinstance(cause, ssl.SSLError):
        reason = cause.reason or cause
        return f"no TLS with the broker at {place}: {reason} (see cafile, certfile, keyfile)"
    if isinstance(error, TimeoutError):
        return f"no broker answers at {place}: no answer in time"
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, AMQPError) and "Errno" not in reason:
        # The broker gives no reason when it closes over a vhost that is missing or forbidden.
        who = f"the user {url.user}, its password or the vhost {url.path}"
        plain = ", or wants amqps://" if url.scheme == "amqp" else ""
        return f"the broker at {place} refuses {who}{plain}"
    return f"no broker answers at {place}: {reason}"


def _unreadable_file(url: URL) -> str | None:
    for name in FILES:
        if file := url.query.get(name):
            try:
                Path(file).read_bytes()
            except OSError as error:
                return f"{name} names {file}: {error.strerror}"
    return None
