"""The watch holds back event types whose queue is missing or does not confirm, until it is back.

Without it, an event that has several queues would be lost to the missing one: any of them satisfies
the broker's mandatory flag.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Collection

from libs.messaging.database import Connection
from libs.messaging.relay.broker import Broker, BrokerUnavailable
from libs.messaging.relay.claims import Outcome, SubjectRows, claim_probe, settle
from libs.messaging.relay.publisher import Publisher
from libs.messaging.relay.retries import log_failures, retry_after
from libs.messaging.relay.rows import FAILING, transaction
from libs.messaging.relay.settings import RelaySettings

CHECK_SECONDS = 1.0
"""What is held back is checked at this interval."""

AT_ONCE = 2_000
"""One statement lets at most this many rows go."""

_RELEASE = f"""
UPDATE outbox SET due_at = clock_timestamp() WHERE seq = ANY (ARRAY(
    SELECT seq FROM outbox
    WHERE {FAILING} AND due_at < 'infinity' AND due_at > clock_timestamp()
        AND source = $1 AND type = ANY ($2)
    LIMIT {AT_ONCE} FOR UPDATE))
"""  # noqa: S608 - constants

_WAITS = f"""
SELECT EXISTS (
    SELECT FROM outbox
    WHERE {FAILING} AND due_at < 'infinity' AND source = $1 AND type = $2)
"""  # noqa: S608 - constants


class QueueWatch:
    """The watch is one part of a relay. Claimers ask it which types are held back, and tell it for
    which types the broker did not answer.

    `probing` makes a publisher with a connection of its own. `released` is called when rows may go
    again, with the lowest of those that never failed.
    """

    def __init__(
        self,
        broker: Broker,
        probing: Callable[[], Publisher],
        connect: Callable[[], Awaitable[Connection]],
        settings: RelaySettings,
        *,
        archive: bool,
        released: Callable[[int | None], None],
    ) -> None:
        self._broker = broker
        self._service = broker.exchange
        self._probing = probing
        self._connect = connect
        self._settings = settings
        self._archive = archive
        self._released = released
        self._held: set[str] = set()
        self._silent: set[str] = set()
        self.wake = asyncio.Event()
        self._looked = -math.inf

    def why_held(self, event_type: str) -> str | None:
        """Say why events of this type must not go out now; None when they may."""
        missing = self._broker.missing_queues.get(event_type)
        if missing is not None:
            self._held.add(event_type)
            return f"held back: queue {missing[0]} is missing"
        if event_type in self._silent:
            return "held back: no confirm for an event of this type"
        return None

    @property
    def problems(self) -> list[str]:
        missing = [
            f"queue {queue} is missing: {event_type} is held back"
            for event_type, queues in self._broker.missing_queues.items()
            for queue in queues
        ]
        silent = [f"{event_type} is not confirmed and held back" for event_type in self._silent]
        return missing + sorted(silent)

    def hold_silent(self, event_types: Collection[str]) -> None:
        """Hold back these types: the broker did not answer for events of them."""
        if event_types:
            self._silent.update(event_types)
            self.wake.set()

    async def step(self) -> float:
        """Check once. Returns for how many seconds to rest, unless `wake` is set."""
        self.wake.clear()
        if self._broker.is_open:
            await self._check_queues()
            await asyncio.gather(*map(self._probe, self._silent))
        return min(CHECK_SECONDS, self._settings.sweep)

    async def _check_queues(self) -> None:
        """Compare the broker with what should be there: only this does so in a running relay."""
        due = time.monotonic() - self._looked >= self._settings.rarely
        if due or self._broker.missing_queues:
            await self._broker.check_topology()
            self._looked = time.monotonic()
        back = self._held - self._broker.missing_queues.keys()
        if back:
            connection = await self._connect()
            try:
                await self._release(connection, back)
            finally:
                connection.terminate()
            self._held -= back

    async def _probe(self, event_type: str) -> None:
        """Publish one event of a silent type. When it is confirmed, or no event waits, the type may
        go again; in the latter case the next event shows whether the queue confirms.
        """
        connection = await self._connect()
        try:
            passed = not await self._waits(connection, event_type)
            rows = await claim_probe(
                connection, self._service, event_type, self._settings.limits.window
            )
            if rows is not None:
                outcome = await self._publish(rows)
                log_failures(self._service, [outcome])
                may_go = await settle(
                    connection,
                    self._service,
                    [outcome],
                    retry_after=retry_after(self._settings),
                    archive=self._archive,
                )
                self._released(may_go)
                passed = outcome.done
            if passed:
                self._silent.discard(event_type)
                await self._release(connection, [event_type])
        finally:
            connection.terminate()

    async def _publish(self, rows: SubjectRows) -> Outcome:
        """Publish on a separate connection: a queue that does not answer can keep the broker from
        answering anything else on it.
        """
        publisher = self._probing()
        try:
            await publisher.open()
            (outcome,) = (await publisher.publish([rows], lambda _: None)).outcomes
        except BrokerUnavailable as error:
            outcome = Outcome(rows, error=str(error))
        finally:
            await publisher.close()
        return outcome

    async def _waits(self, connection: Connection, event_type: str) -> bool:
        async with transaction(connection):
            return bool(await connection.fetchval(_WAITS, self._service, event_type))

    async def _release(self, connection: Connection, types: Collection[str]) -> None:
        """Try failing rows of these types at once, a bounded number in each transaction."""
        released = AT_ONCE if types else 0
        while released >= AT_ONCE:
            async with transaction(connection):
                status = await connection.execute(_RELEASE, self._service, list(types))
            released = int(status.rpartition(" ")[2])
            self._released(None)
