"""A claimer is a loop of a relay: it claims rows, publishes them and settles them."""

import asyncio
import time
from collections.abc import Sequence

from libs.messaging.database import Connection
from libs.messaging.kept_connection import KeptConnection
from libs.messaging.outbox.wakeup import WakeUp
from libs.messaging.relay import spans
from libs.messaging.relay.broker import BrokerUnavailable
from libs.messaging.relay.claims import Batch, Message, Outcome, claim, park, settle
from libs.messaging.relay.metrics import (
    BATCH_SECONDS,
    DELIVERED,
    FAILED,
    PUBLISHED,
    start_at_zero,
)
from libs.messaging.relay.publisher import Published, Publisher
from libs.messaging.relay.queue_watch import QueueWatch
from libs.messaging.relay.retries import log_failures, retry_after
from libs.messaging.relay.scan_start import ScanStart
from libs.messaging.relay.settings import RelaySettings

LEFT_TO_OTHERS = 8
"""When another relay holds all heads of a claim, the walk leaves out the rows of this many claims
behind it. Directly behind that claim both relays would meet, and every second claim would find
nothing.
"""


class Work:
    """The claimers of one relay share this. Only the claimer that holds `turn` waits for work and
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
        self._from_start = True
        self._walk_from = 0
        self._left_out = False
        self._leaves_nothing_out = False
        self._claimed_at = 0.0
        self._in_hand = 0
        self._draining = False

    async def wait(self) -> None:
        """Wait for a signal, at most `poll` seconds; not at all when more rows are known to be
        there.
        """
        if not self._look_at_once and not self.stopped:
            await self._wake_up.wait(self._settings.poll)
        early = self._claimed_at + self._settings.pace - time.monotonic()
        if early > 0:
            await asyncio.sleep(early)

    def begin(self) -> tuple[int, int]:
        """Return where a claim looks from, and the number of signals until now.

        Claims walk from the scan start to the end of the outbox, and then begin anew. When rows may
        go again, the next claim begins at the scan start, and the walk goes on after it. A walk
        that has left rows to another relay is followed at once by a walk that leaves out no row
        until it has claimed some, because the other relay may have stopped.
        """
        self._claimed_at = time.monotonic()
        start = self.scan_start.seq
        look_from = start if self._from_start else max(start, self._walk_from)
        self._from_start = False
        return look_from, self._wake_up.signals

    def claimed(self, batch: Batch, signals: int) -> None:
        """Note the result of a claim. Signals that came since `begin` returned `signals` may be for
        rows that this claim found locked.
        """
        self.has_claimed = True
        if batch.beyond is None:
            self._walk_from = 0
            self._look_at_once = self._leaves_nothing_out = self._left_out
            self._left_out = False
        else:
            if batch.beyond > self._walk_from:
                self._walk_from = batch.beyond
                all_held = not batch.subjects and batch.crowded_from is None
                if all_held and not self._leaves_nothing_out:
                    self._walk_from += LEFT_TO_OTHERS * self._settings.limits.fresh
                    self._left_out = True
            self._look_at_once = bool(batch.subjects) or batch.crowded_from is None
        self.scan_start.claimed(batch.highest)
        if batch.subjects:
            self._leaves_nothing_out = False
            self._in_hand += 1
        elif self._draining and not (
            self._look_at_once or self._in_hand or self._wake_up.signals != signals
        ):
            self.drained.set()

    def parked(self) -> None:
        """Go on with the walk: rows that were in the way are parked."""
        self._look_at_once = True
        self._wake_up.signal()

    def settled(self, batch: Batch, signals: int, may_go: int | None) -> None:
        """Note that a batch is settled. Rows that were signalled since `begin` returned `signals`
        may have waited for a row of this batch; `may_go` is the lowest of them.
        """
        if may_go is not None:
            self.may_go(may_go)
        elif self._draining or self._wake_up.signals != signals or batch.beyond is not None:
            self._wake_up.signal()

    def put_down(self, batch: Batch) -> None:
        """Note that a claimer is done with this batch, whether it was settled or not."""
        self._in_hand -= bool(batch.subjects)

    def may_go(self, seq: int | None) -> None:
        """Note that the row `seq` may go; with None, that rows that failed before may."""
        if seq is not None:
            self.scan_start.include(seq)
            self._from_start = True
        self._look_at_once = True
        self._wake_up.signal()

    def failed(self) -> None:
        """Note that a claimer failed: the rows of its batch may go again."""
        self._from_start = True
        self.may_go(None)
        if self._draining:
            self.drained.set()

    def drain(self) -> None:
        """Set `drained`, from now on, as soon as nothing is left to send, or sending fails."""
        self._draining = True
        self.may_go(None)

    def stop(self) -> None:
        """Let nobody claim from now on."""
        self.stopped = True
        self._wake_up.signal()


class Claimer:
    """A relay has several claimers: while one publishes, another one claims."""

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
        self._retry_after = retry_after(settings)
        self._archive = archive
        self._failed = False

    async def step(self) -> None:
        """Claim, publish and settle one batch. Raises BrokerUnavailable or a database error."""
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
            if not self._failed:  # else `problems` would name an error that is over
                await work.wait()
            if work.stopped:
                return
            await self._publisher.open()
            connection = await self._connection.get()
            look_from, signals = work.begin()
            started, started_ns = time.monotonic(), time.time_ns()
            batch = await claim(connection, self._service, look_from, self._settings.limits)
            work.claimed(batch, signals)
        if not batch.subjects and batch.crowded_from is None:
            return
        try:
            with spans.batch(self._service, batch.subjects, started_ns):
                published = await self._publish_and_park(connection, batch)
                may_go = await settle(
                    connection,
                    self._service,
                    published.outcomes,
                    retry_after=self._retry_after,
                    archive=self._archive,
                )
        finally:
            work.put_down(batch)
        BATCH_SECONDS.labels(self._service).observe(time.monotonic() - started)
        self._count(published.outcomes)
        self._queues.hold_silent(published.silent_types)  # its probes look for failed rows
        work.settled(batch, signals, may_go)
        if published.unavailable is not None:
            raise published.unavailable

    async def _publish_and_park(self, connection: Connection, batch: Batch) -> Published:
        publish = self._publisher.publish(batch.subjects, self._why_held)
        if batch.crowded_from is None:
            return await publish
        publishing = asyncio.create_task(publish)
        try:
            window = self._settings.limits.fresh
            if await park(connection, self._service, batch, window=window):
                self._work.parked()
            return await publishing
        finally:
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)

    def _why_held(self, message: Message) -> str | None:
        if message.expired:
            return "older than the inbox remembers: not sent, a person decides"
        return self._queues.why_held(message.type)

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        delivered = sum(outcome.confirmed for outcome in outcomes)
        failed = sum(outcome.error is not None for outcome in outcomes)
        log_failures(self._service, outcomes)
        PUBLISHED.labels(self._service, DELIVERED).inc(delivered)
        if failed:
            PUBLISHED.labels(self._service, FAILED).inc(failed)
