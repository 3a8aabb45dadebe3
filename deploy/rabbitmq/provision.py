"""Provisioning creates the vhost and a user per service, over the management API. Running it again
changes nothing.

A service's user declares nothing, writes to the exchanges of its own service, reads the queues of
its own service, and may read the vhost's bindings. The operator reads everything and handles dead
letters, nothing else. `guest` is removed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import httpx

from libs.messaging.broker_url import parse_management_url
from libs.messaging.names import dead_queue, look_lock

NOTHING = "^$"


@dataclass(frozen=True)
class BrokerAccount:
    """One service has this account. `publishes` are the types of its events, which are their
    routing keys.
    """

    service: str
    password: str = field(repr=False)
    publishes: Sequence[str]


@dataclass(frozen=True)
class OperatorAccount:
    """This account reads everything, reads dead letters and redrives them."""

    name: str
    password: str = field(repr=False)


async def provision(
    management_url: str,
    vhost: str,
    accounts: Sequence[BrokerAccount],
    operator: OperatorAccount | None = None,
) -> None:
    """Create vhost, users and permissions; `management_url` contains an administrator's
    credentials.

    Raises httpx.HTTPError when the broker cannot be reached or refuses.
    """
    administrator = urlsplit(management_url).username or ""
    management = parse_management_url(management_url)
    async with httpx.AsyncClient(
        base_url=management.url, verify=management.trusted(), timeout=30, trust_env=False
    ) as client:
        place = quote(vhost, safe="")
        await _put(client, f"/api/vhosts/{place}", {})
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        await _put(client, f"/api/permissions/{place}/{administrator}", everything)
        for account in accounts:
            await _make_user(client, place, account)
        if operator is not None:
            user = {"password": operator.password, "tags": "monitoring"}
            await _put(client, f"/api/users/{operator.name}", user)
            sees = {
                "configure": rf"^[^.]+{re.escape(look_lock(''))}$",
                "write": r"^[^.]+\.redrive$",
                "read": rf"^[^.]+{re.escape(dead_queue(''))}$",
            }
            await _put(client, f"/api/permissions/{place}/{operator.name}", sees)
        if administrator != "guest":
            removed = await client.delete("/api/users/guest")
            if removed.status_code != httpx.codes.NOT_FOUND:
                removed.raise_for_status()


async def change_own_password(management_url: str, password: str) -> None:
    """Change the password of the administrator whose credentials the URL contains. Do nothing where
    `password` is valid already.

    Raises httpx.HTTPError when the broker cannot be reached, or accepts neither password.
    """
    name = urlsplit(management_url).username or ""
    management = parse_management_url(management_url)
    async with httpx.AsyncClient(
        base_url=management.url, verify=management.trusted(), timeout=30, trust_env=False
    ) as client:
        user = {"password": password, "tags": "administrator"}
        answer = await client.put(f"/api/users/{name}", json=user)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            answer = await client.get("/api/whoami", auth=(name, password))
        answer.raise_for_status()


async def _make_user(client: httpx.AsyncClient, place: str, account: BrokerAccount) -> None:
    user = account.service
    name = re.escape(user)
    await _put(client, f"/api/users/{user}", {"password": account.password, "tags": "management"})
    permissions = {
        "configure": NOTHING,
        "write": rf"^{name}(\.dlx|\.redrive)?$",
        "read": rf"^({name}\.on\..+|{re.escape(dead_queue(user))})$",
    }
    await _put(client, f"/api/permissions/{place}/{user}", permissions)
    subjects = sorted({re.escape(event.split(".")[0]) for event in account.publishes})
    topics = {"exchange": user, "write": rf"^({'|'.join(subjects)})\.", "read": NOTHING}
    await _put(client, f"/api/topic-permissions/{place}/{user}", topics)


async def _put(client: httpx.AsyncClient, path: str, body: dict[str, str]) -> None:
    (await client.put(path, json=body)).raise_for_status()
