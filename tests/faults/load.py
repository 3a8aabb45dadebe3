"""Makes a steady load of bookings. Its clients retry what was refused and check every answer."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import httpx

from libs.kernel.ids import uuid7

CLIENTS = 6
PATIENCE_SECONDS = 20.0
"""No request may take longer than these seconds, whatever is broken."""
STUBBORN_SECONDS = 75.0
"""No booking may be refused for longer, even after several faults."""


@dataclass
class Load:
    """A `Load` books without a pause, and repeats with the same key what was refused.

    `accepted` holds the takings of each key that was answered with 2xx. `alone` is the share of
    the bookings that are at one till only.
    """

    client: httpx.AsyncClient
    alone: float = 0.7
    accepted: dict[str, list[UUID]] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    _stopping: bool = False

    async def run(self) -> None:
        """Book until stopped. Each booking that was begun is repeated until it is accepted."""
        tills = [uuid7() for _ in range(CLIENTS)]  # one for each client, neighbours in pairs
        async with asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(self._book(tills[number], tills[number ^ 1]))

    def stop(self) -> None:
        self._stopping = True

    async def _book(self, own: UUID, neighbour: UUID) -> None:
        """Book at this client's till, and sometimes at a neighbour's too. The neighbour books in
        another order.
        """
        while not self._stopping:
            tills = [own] if random.random() < self.alone else [own, neighbour]
            random.shuffle(tills)
            await self._until_accepted(uuid4().hex, tills)
            await asyncio.sleep(0.01)

    async def _until_accepted(self, key: str, tills: list[UUID]) -> None:
        began = time.monotonic()
        while (answer := await self._ask(key, tills)).status_code != 201:
            assert_refused_properly(answer)
            assert time.monotonic() - began < STUBBORN_SECONDS, f"still refused: {answer.text}"
            await asyncio.sleep(random.uniform(0.05, 0.2))
        self.accepted[key] = [UUID(each) for each in answer.json()["ids"]]

    async def _ask(self, key: str, tills: list[UUID]) -> httpx.Response:
        started = time.monotonic()
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await self.client.post(
                "/takings",
                json={"tills": [str(till) for till in tills]},
                headers={"Idempotency-Key": key},
            )
        self.slowest = max(self.slowest, time.monotonic() - started)
        code = "" if answer.is_success else answer.json()["type"].rpartition(":")[2]
        self.answers[f"{answer.status_code} {code}".rstrip()] += 1
        return answer


def assert_refused_properly(answer: httpx.Response) -> None:
    """Check for 503, or for 409 while the first request of this key may still be worked on."""
    in_flight = answer.json()["type"].endswith(":idempotency-key-in-flight")
    assert answer.status_code == (409 if in_flight else 503), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) >= 1


@asynccontextmanager
async def steady(client: httpx.AsyncClient) -> AsyncIterator[Load]:
    """Run the load beside the block. A wrong answer to a client ends the block. No request is cut
    off.
    """
    load = Load(client)
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        try:
            yield load
        finally:
            load.stop()
