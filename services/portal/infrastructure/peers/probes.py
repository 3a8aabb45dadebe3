"""Each service shows its own state by /ready and /metrics."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True)
class ServiceState:
    """The process answers (`alive`) and can do its work (`ready`); `checks` say what prevents it.
    Of the outbox: how many events wait, the age of the oldest in seconds, how many have failed
    before, and how many of these a person has to decide about.
    """

    name: str
    alive: bool = False
    ready: bool = False
    checks: Mapping[str, str] = field(default_factory=dict)
    outbox_rows: int = 0
    outbox_seconds: float = 0.0
    outbox_failing: int = 0
    outbox_given_up: int = 0


@dataclass(frozen=True)
class Refusals:
    """`counts` are the messages that each queue's service has given up since its process started.
    `silent` are the services that did not answer.
    """

    counts: Mapping[str, int]
    silent: frozenset[str]


class Probes:
    """`addresses` are the services' base URLs by name."""

    def __init__(self, addresses: Mapping[str, str], client: httpx.AsyncClient) -> None:
        self._addresses = addresses
        self._client = client

    async def states(self) -> list[ServiceState]:
        """Return all services' states, read at once. One that does not answer is not `alive`."""
        return list(await asyncio.gather(*map(self._state, self._addresses)))

    async def lives(self, name: str) -> bool:
        """Return whether the service's process answers."""
        try:
            return (await self._ask(name, "/health")).is_success
        except httpx.HTTPError:
            return False

    async def refusals(self) -> Refusals:
        """Return the refusals of all services, read at once."""
        counts: Counter[str] = Counter()
        answers = await asyncio.gather(*map(self._refusals, self._addresses))
        for found in answers:
            counts.update(found or {})
        asked = zip(self._addresses, answers, strict=True)
        return Refusals(counts, frozenset(name for name, found in asked if found is None))

    async def _state(self, name: str) -> ServiceState:
        try:
            answer = await self._ask(name, "/ready")
            content = answer.json()
            outbox = content["outbox"]
            return ServiceState(
                name,
                alive=True,
                ready=answer.is_success,
                checks=content["checks"],
                outbox_rows=outbox["rows"],
                outbox_seconds=outbox["oldest_seconds"],
                outbox_failing=outbox["failing"],
                outbox_given_up=outbox["given_up"],
            )
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return ServiceState(name, alive=await self.lives(name))

    async def _refusals(self, name: str) -> Counter[str] | None:
        """Return the refusals by queue, or None where the service does not answer."""
        try:
            text = (await self._ask(name, "/metrics")).raise_for_status().text
        except httpx.HTTPError:
            return None
        return _counted(text, "messaging_dead_letters_total")

    async def _ask(self, name: str, path: str) -> httpx.Response:
        return await self._client.get(f"{self._addresses[name]}{path}", timeout=TIMEOUT_SECONDS)


def _counted(exposition: str, metric: str) -> Counter[str]:
    """Return the values of one counter, by queue. Only its own lines are parsed, because there are
    hundreds of others.
    """
    own = [line for line in exposition.splitlines() if line.startswith(metric)]
    counts: Counter[str] = Counter()
    for family in text_string_to_metric_families("\n".join([*own, ""])):
        for sample in family.samples:
            if sample.name == metric:
                counts[sample.labels["queue"]] += int(sample.value)
    return counts
