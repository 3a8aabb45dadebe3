"""Claims rows, publishes them, settles them: the loop a relay is made of."""

import asyncio
import time

from libs.messaging.database import Connection
from libs.messaging.kept_connection import KeptConnection
from libs.messaging.outbox.wakeup import WakeUp
from libs.messaging.relay.broker import BrokerUnavailable
from libs.messaging.relay.claims import Batch, Settled, SubjectRows, claim, park, settle
from libs.messaging.relay.metrics import (
    BATCH_SECONDS,
    DELIVERED,
    FAILED,
    PUBLISHED,
    start_at_zero,
)
from libs.messaging.relay.publisher import Published, Publisher
from libs.messaging.relay.queue_watch import QueueWatch
from libs.messaging.relay.retries import log_failures, settled
from libs.messaging.relay.scan_start import ScanStart
from libs.messaging.relay.settings import RelaySettings


class Work:
    """What the claimers of one relay share. One at a time, who holds `turn`, waits for work and
    claims it.
    """

    def __init__(self, wake_up: WakeUp, settings: RelaySettings) -> None:
        self.turn = asyncio.Lock()
        self.scan_start = ScanStart()
        self.has_claimed = False
        self.stopped = False
        self.drained = asyncio.Event()
        self._wake_up = wake_up
        self._settings = settings
        self._look_at_once = True
        self._look_from: int | None = None
        self._claimed_at = 0.0
        self._in_hand = 0
        self._draining = False

    async def wait(self) -> None:
        """Until a signal, or for `poll` seconds; not at all when more is known to wait."""
        if not self._look_at_once and not self.stopped:
            await self._wake_up.wait(self._settings.poll)
        early = self._claimed_at + self._settings.pace - time.monotonic()
        if early > 0:
            await asyncio.sleep(early)

    def begin(self) -> tuple[int, int]:
        """Where a claim looks from, and the number of signals until now."""
        self._claimed_at = time.monotonic()
        return self._look_from or self.scan_start.seq, self._wake_up.signals

    def claimed(self, batch: Batch) -> None:
        self.has_claimed = True
        self._look_at_once = batch.full
        self._look_from = batch.beyond
        self.scan_start.claimed(batch.highest)
        if batch.subjects:
            self._in_hand += 1
        elif self._draining and not batch.full and not self._in_hand:
            self.drained.set()

    def settled(self, signals: int, may_go: int | None) -> None:
        """What was signalled since `begin` returned `signals` may have waited for a row of this
        batch. `may_go` is the lowest row that waited so.
        """
        if may_go is not None:
            self.may_go(may_go)
        elif self._draining or self._wake_up.signals != signals:
            self._wake_up.signal()

    def put_down(self, batch: Batch) -> None:
        """A claimer has no longer this batch in hand, settled or not."""
        self._in_hand -= bool(batch.subjects)

    def may_go(self, seq: int | None) -> None:
        """The row there may go; None: rows that failed before may."""
        if seq is not None:
            self.scan_start.include(seq)
        self._look_at_once = True
        self._wake_up.signal()

    def failed(self) -> None:
        """A claimer failed: what it had in hand may go again."""
        self._look_from = None
        self.may_go(None)
        if self._draining:
            self.drained.set()

    def drain(self) -> None:
        """From now on `drained` is set as soon as nothing is left to send, or sending fails."""
        self._draining = True
        self.may_go(None)

    def stop(self) -> None:
        """Nobody claims any more."""
        self.stopped = True
        self._wake_up.signal()


class Claimer:
    """One of a relay's claimers: while it publishes, another claims."""

    def __init__(
        self,
        service: str,
        connection: KeptConnection,
        publisher: Publisher,
        work: Work,
        queues: QueueWatch,
        settings: RelaySettings,
        *,
        archive: bool,
    ) -> None:
        start_at_zero(service)
        self._service = service
        self._connection = connection
        self._publisher = publisher
        self._work = work
        self._queues = queues
        self._settings = settings
        self._archive = archive
        self._failed = False

    async def step(self) -> None:
        """One batch. Raises BrokerUnavailable, or what the database raises."""
        try:
            await self._one_batch()
        except BaseException as error:
            if not isinstance(error, BrokerUnavailable):
                self._connection.close()
            self._failed = True
            self._work.failed()
            raise
        self._failed = False

    async def _one_batch(self) -> None:
        work = self._work
        async with work.turn:
            if not self._failed:  # else `problems` would name it for longer than it is true
                await work.wait()
            if work.stopped:
                return
            await self._publisher.open()
            connection = await self._connection.get()
            look_from, signals = work.begin()
            started = time.monotonic()
            batch = await claim(connection, self._service, look_from, self._settings.limits)
            work.claimed(batch)
        if not batch.subjects and batch.park_from is None:
            return
        try:
            published, done = await self._publish_and_park(connection, batch)
            may_go = await settle(connection, self._service, done, archive=self._archive)
        finally:
            work.put_down(batch)
        BATCH_SECONDS.labels(self._service).observe(time.monotonic() - started)
        self._count(done)
        self._queues.hold_silent(published.silent_types)  # its probes need the rows as failed
        work.settled(signals, may_go)
        if published.unavailable is not None:
            raise published.unavailable

    async def _publish_and_park(
        self, connection: Connection, batch: Batch
    ) -> tuple[Published, list[Settled]]:
        if batch.park_from is None:
            return await self._publish(batch)
        publishing = asyncio.create_task(self._publish(batch))
        try:
            await park(connection, self._service, batch)
            return await publishing
        finally:
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)

    async def _publish(self, batch: Batch) -> tuple[Published, list[Settled]]:
        sendable: list[SubjectRows] = []
        messages = []
        done = []
        for rows in batch.subjects:
            count, held = self._sendable(rows)
            if count:
                sendable.append(rows)
                messages.append(rows.messages[:count])
            else:
                done.append(settled(self._settings, rows, 0, held))
        published = await self._publisher.publish(messages)
        for rows, outcome in zip(sendable, published.outcomes, strict=True):
            done.append(settled(self._settings, rows, outcome.confirmed, outcome.error))
        return published, done

    def _sendable(self, rows: SubjectRows) -> tuple[int, str | None]:
        """How many of the rows may go out now, and why the next one may not."""
        for index, message in enumerate(rows.messages):
            if message.expired:
                return index, "older than the inbox remembers: not sent, a person decides"
            held = self._queues.why_held(message.type)
            if held is not None:
                return index, held
        return len(rows.messages), None

    def _count(self, done: list[Settled]) -> None:
        delivered = sum(each.confirmed for each in done)
        failed = sum(each.error is not None for each in done)
        log_failures(self._service, done)
        PUBLISHED.labels(self._service, DELIVERED).inc(delivered)
        if failed:
            PUBLISHED.labels(self._service, FAILED).inc(failed)
