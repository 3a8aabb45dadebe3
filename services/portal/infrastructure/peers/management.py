"""RabbitMQ's management API shows the state of the queues: depth, rates, consumers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from libs.messaging.broker_url import BrokerUrl

TIMEOUT_SECONDS = 3.0


class BrokerUnavailable(Exception):
    """The management API does not answer. The text says why in one line."""


@dataclass(frozen=True)
class QueueState:
    """The state is that of one queue as the broker counted it, which it does every five seconds.

    `ready` messages wait; consumers hold `unacknowledged` ones. The rates are in messages per
    second.
    """

    name: str
    ready: int
    unacknowledged: int
    consumers: int
    arriving: float
    handled: float
    redelivered: float

    @property
    def depth(self) -> int:
        return self.ready + self.unacknowledged


class ManagementApi:
    """`url` contains user and password; the user needs the tag `monitoring`. `client` trusts the
    authorities in the URL's `cafile`.
    """

    def __init__(self, url: BrokerUrl, vhost: str, client: httpx.AsyncClient) -> None:
        self._place = url
        self._path = f"/api/queues/{quote(vhost, safe='')}"
        self._client = client

    async def queues(self) -> dict[str, QueueState]:
        """Return the queues by name. Raises BrokerUnavailable."""
        try:
            url = self._place if isinstance(self._place, str) else self._place()
            place = url.partition("?")[0].rstrip("/")
            answer = await self._client.get(f"{place}{self._path}", timeout=TIMEOUT_SECONDS)
            answer.raise_for_status()
            rows = answer.json()
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            raise BrokerUnavailable(f"RabbitMQ's management API answers {status}") from None
        except (httpx.HTTPError, ValueError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise BrokerUnavailable(f"RabbitMQ's management API: {reason}") from None
        return {row["name"]: _state(row) for row in rows}


def _state(row: Mapping[str, Any]) -> QueueState:
    """A new queue has no counts, and no statistics until its first message."""
    stats = row.get("message_stats") or {}
    return QueueState(
        name=row["name"],
        ready=row.get("messages_ready", 0),
        unacknowledged=row.get("messages_unacknowledged", 0),
        consumers=row.get("consumers", 0),
        arriving=_rate(stats, "publish"),
        handled=_rate(stats, "ack"),
        redelivered=_rate(stats, "redeliver"),
    )


def _rate(stats: Mapping[str, Any], name: str) -> float:
    details = stats.get(f"{name}_details") or {}
    return float(details.get("rate", 0.0))
