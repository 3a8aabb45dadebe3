"""The relay: takes rows from the outbox to the broker, in order per subject, losing none.

    relay = Relay("orders", database_dsn="postgresql://…", rabbitmq_url="amqp://…",
                  window=window, bell=bell,
                  expected_queues={"order.confirmed.v1": ["customers.on.order.confirmed.v1"]})
    await relay.start()     # returns at once; a broker or database that is away is retried
    relay.problems          # empty when all is well: readiness
    await relay.stop()      # finishes the batch in hand, sends what is due, closes

Any number of relays may serve one outbox. Each runs a few *lanes*: while one publishes, another
claims. A lane's round is: claim heads, publish, delete what was confirmed, commit (see `claims`).
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from prometheus_client import Counter, Gauge, Histogram

from libs.messaging.database import DATABASE_ERRORS, Connection, connect
from libs.messaging.inbox.inbox import InboxWindow
from libs.messaging.outbox.wakeup import Bell
from libs.messaging.relay import sweep
from libs.messaging.relay.backlog import Backlog, backlog
from libs.messaging.relay.claims import Batch, Floor, Limits, Run, claim, settle
from libs.messaging.relay.publisher import BrokerUnavailable, Publisher

log = logging.getLogger(__name__)

PUBLISHED = Counter("outbox_published", "Outbox rows by outcome", ["service", "outcome"])
WAITING = Gauge("outbox_rows", "Rows in the outbox, counted up to 100,000", ["service"])
OLDEST = Gauge("outbox_oldest_seconds", "Age of the oldest row in the outbox", ["service"])
FAILING = Gauge("outbox_failing_rows", "Rows that were tried in vain", ["service"])
ROUND = Histogram("outbox_batch_seconds", "From claim to commit", ["service"])

PARK_EVERY = 0.2


@dataclass(frozen=True)
class RelaySettings:
    """Times are in seconds. `pace` is the least time between claims: under load, what is
    committed meanwhile shares one."""

    limits: Limits = field(default_factory=Limits)
    lanes: int = 2
    pace: float = 0.005
    poll: float = 1.0
    publish_timeout: float = 5.0
    backoff: float = 0.5
    backoff_most: float = 30.0
    flush: float = 2.0
    sweep: float = 1.0
    rarely: float = 60.0
    statement_cache: int = 100
    """0 behind a PgBouncer in transaction mode."""


class Relay:
    """`retention` keeps delivered rows in the archive for so long; None deletes them. `window` is
    the one of the subscribers that get its events. Raises ValueError when rows could go out that
    an inbox no longer remembers.
    """

    def __init__(
        self,
        service: str,
        *,
        database_dsn: str,
        rabbitmq_url: str,
        window: InboxWindow,
        bell: Bell | None = None,
        final_types: Collection[str] = (),
        expected_queues: Mapping[str, Sequence[str]] | None = None,
        retention: timedelta | None = None,
        settings: RelaySettings | None = None,
    ) -> None:
        self.service = service
        self.settings = settings or RelaySettings()
        for kept in (self.settings.limits.window, retention or timedelta(0)):
            if kept > window.replayable:
                raise ValueError(f"{kept} is longer than an inbox remembers: {window.past}")
        self.backlog = Backlog(0, 0.0, 0, None)
        self._dsn = database_dsn
        self._bell = bell or Bell()
        self._retention = retention
        self._publisher = Publisher(
            service,
            rabbitmq_url,
            final=final_types,
            expected_queues=expected_queues,
            timeout=self.settings.publish_timeout,
        )
        self._floor = Floor()
        self._turn = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._stop_by = 0.0
        self._again = True
        self._delivering = 0
        self._claimed_at = 0.0
        self._parked_at = 0.0
        self._trouble: dict[str, str] = {"start": "the relay has not started"}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it is not ready, in plain words; empty when rows can flow."""
        missing = [
            f"queue {queue} is missing: {kind} is held back"
            for kind, queues in self._publisher.missing_queues.items()
            for queue in queues
        ]
        ended = [f"{task.get_name()} has ended" for task in self._tasks if task.done()]
        return (*self._trouble.values(), *missing, *ended)

    @property
    def ready(self) -> bool:
        return not self.problems

    async def start(self) -> None:
        parts = {f"lane {n}": self._lane(n) for n in range(self.settings.lanes)}
        parts["tidying"] = self._tidy()
        self._tasks = [asyncio.create_task(part, name=name) for name, part in parts.items()]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Finish the batch in hand, send what is due for at most `flush` seconds, close."""
        self._stop_by = time.monotonic() + self.settings.flush
        self._again = True
        self._stopping.set()
        self._bell.ring()
        if not self._tasks:
            return
        *lanes, tidy = self._tasks
        tidy.cancel()
        patience = self.settings.flush + self.settings.publish_timeout + 2
        _, stuck = await asyncio.wait(lanes, timeout=patience)
        for task in stuck:
            task.cancel()
        await asyncio.wait(self._tasks, timeout=1)  # a cancelled one can be stuck in a library
        await self._publisher.close()

    async def run(self) -> None:
        """Start, and go on until cancelled; then stop."""
        await self.start()
        try:
            await self._stopping.wait()
        finally:
            await self.stop()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """None of them ends before `stop`: readiness says it, and here is why."""
        if not self._stopping.is_set():
            error = None if task.cancelled() else task.exception()
            log.critical("%s relay: %s ended", self.service, task.get_name(), exc_info=error)

    async def _lane(self, number: int) -> None:
        connection: Connection | None = None
        failures = 0
        try:
            while not self._over():
                try:
                    if connection is None or connection.is_closed():
                        connection = await self._connect()
                    await self._round(connection)
                    failures = 0
                    continue
                except BrokerUnavailable as error:
                    self._report("broker", error)
                except Exception as error:
                    if not isinstance(error, DATABASE_ERRORS):
                        log.exception("%s relay, lane %d", self.service, number)
                    self._report("database", error)
                    if connection is not None:
                        connection.terminate()
                failures += 1
                await self._pause(min(2.0, 0.05 * 2 ** min(failures, 10)))
        finally:
            if connection is not None:
                connection.terminate()

    async def _round(self, connection: Connection) -> None:
        async with self._turn:
            if not await self._wait_for_work():
                return
            self._again = True  # in case it fails here: the ring is spent
            await self._publisher.open()
            self._trouble.pop("broker", None)
            self._trouble.pop("start", None)
            rings = self._bell.rings
            self._claimed_at = time.monotonic()
            batch = await claim(connection, self._floor.seq, self.settings.limits)
            self._trouble.pop("database", None)
            self._again = batch.full or (self._stopping.is_set() and bool(batch.runs))
            if batch.lowest is not None:
                self._floor.learn(batch.lowest, self._claimed_at)
            self._delivering += bool(batch.runs)
        if batch.runs:
            try:
                with ROUND.labels(self.service).time():
                    await self._deliver(connection, batch)
            finally:
                self._delivering -= 1
            if self._bell.rings != rings or self._stopping.is_set():
                # What came meanwhile may have waited for a row of this batch.
                self._again = self._again or self._stopping.is_set()
                self._bell.ring()

    async def _wait_for_work(self) -> bool:
        """Until a ring, or the poll; not when more is known to wait. False: stopping, all sent."""
        if self._stopping.is_set() and not self._again and not self._delivering:
            self._stop_by = 0.0
            return False
        if not self._again:
            await self._bell.wait(self.settings.poll)
        early = self._claimed_at + self.settings.pace - time.monotonic()
        if early > 0:
            await asyncio.sleep(early)
        return True

    async def _deliver(self, connection: Connection, batch: Batch) -> None:
        broken: BrokerUnavailable | None = None
        sendable = [run for run in batch.runs if self._may_be_sent(run)]
        try:
            await self._publisher.publish(sendable)
        except BrokerUnavailable as error:
            broken = error
        for run in batch.runs:
            if run.error is not None:
                run.delay = self._delay(run)
        try:
            upcoming = await settle(
                connection,
                batch.runs,
                archive=self._retention is not None,
                park_from=self._park_from(batch),
            )
        except BaseException:
            self._look_again_from(batch.lowest)
            raise
        self._count(batch)
        if upcoming is not None:
            self._look_again_from(upcoming)
        elapsed = time.monotonic() - batch.claimed_at
        if broken is not None or elapsed > Floor.LAG:
            self._look_again_from(batch.lowest)
        if broken is not None:
            raise broken

    def _may_be_sent(self, run: Run) -> bool:
        """Cut the run before a message that must not go out now; False when it is the first."""
        missing = self._publisher.missing_queues
        for index, message in enumerate(run.messages):
            if message.expired:
                reason = "older than the inbox remembers: not sent, a person decides"
            elif message.type in missing:
                reason = f"held back: queue {missing[message.type][0]} is missing"
            else:
                continue
            if index == 0:
                run.error = reason
                return False
            del run.messages[index:]
            run.open_ended = True
            return True
        return True

    def _delay(self, run: Run) -> timedelta | None:
        """Exponential with jitter; None for what is too old to be sent at all."""
        message = run.messages[run.confirmed]
        attempts = run.attempts if run.confirmed == 0 else 0
        log.error(
            "%s: %s %s not delivered, attempt %d: %s",
            self.service,
            message.type,
            message.id,
            attempts + 1,
            run.error,
        )
        if message.expired:
            return None
        seconds = min(self.settings.backoff_most, self.settings.backoff * 2 ** min(attempts, 16))
        return timedelta(seconds=seconds * random.uniform(0.5, 1.0))  # noqa: S311  # nosec B311

    def _park_from(self, batch: Batch) -> int | None:
        """Parking walks over many rows: a few times a second is enough."""
        now = time.monotonic()
        if now - self._parked_at < PARK_EVERY or not any(run.open_ended for run in batch.runs):
            return None
        self._parked_at = now
        return self._floor.seq

    def _look_again_from(self, seq: int | None) -> None:
        if seq is not None:
            self._floor.lower(seq)
            self._again = True
            self._bell.ring()

    def _count(self, batch: Batch) -> None:
        delivered = sum(run.confirmed for run in batch.runs)
        failed = sum(run.error is not None for run in batch.runs)
        PUBLISHED.labels(self.service, "delivered").inc(delivered)
        if failed:
            PUBLISHED.labels(self.service, "failed").inc(failed)

    async def _tidy(self) -> None:
        connection: Connection | None = None
        rarely = -math.inf
        try:
            while not self._stopping.is_set():  # aiormq can swallow the cancellation of `stop`
                started = time.monotonic()
                try:
                    if connection is None or connection.is_closed():
                        connection = await self._connect()
                    await self._sweep(connection)
                    if started - rarely >= self.settings.rarely:
                        rarely = started
                        self._look_again_from(await sweep.unpark_orphans(connection))
                    if self._publisher.missing_queues or rarely == started:
                        await self._check_queues(connection)
                except BrokerUnavailable as error:
                    self._report("broker", error)
                except Exception as error:
                    if not isinstance(error, DATABASE_ERRORS):
                        log.exception("%s relay, sweep", self.service)
                    self._report("database", error)
                    if connection is not None:
                        connection.terminate()
                # Never more than a twentieth of the time, however slow the sweep is.
                await asyncio.sleep(max(self.settings.sweep, 20 * (time.monotonic() - started)))
        finally:
            if connection is not None:
                connection.terminate()

    async def _sweep(self, connection: Connection) -> None:
        self._look_again_from(await sweep.lowest_below(connection, self._floor.seq))
        while await sweep.park_behind_failing(connection, self._floor.seq) >= sweep.NEAR:
            pass
        self.backlog = now = await backlog(connection)
        WAITING.labels(self.service).set(now.rows)
        OLDEST.labels(self.service).set(now.age)
        FAILING.labels(self.service).set(now.failing)

    async def _check_queues(self, connection: Connection) -> None:
        before = set(self._publisher.missing_queues)
        await self._publisher.check_topology()
        back = before - set(self._publisher.missing_queues)
        if back and await sweep.release(connection, back):
            self._bell.ring()

    async def _connect(self) -> Connection:
        return await connect(
            self._dsn, f"{self.service} relay", statement_cache=self.settings.statement_cache
        )

    def _report(self, part: str, error: BaseException) -> None:
        """Remember the trouble for readiness; say it once, not at every try."""
        sentence = f"{part}: {str(error) or type(error).__name__}"
        if self._trouble.get(part) != sentence:
            log.warning("%s relay: %s", self.service, sentence)
        self._trouble.pop("start", None)
        self._trouble[part] = sentence

    def _over(self) -> bool:
        return self._stopping.is_set() and time.monotonic() >= self._stop_by

    async def _pause(self, seconds: float) -> None:
        if self._stopping.is_set():
            self._stop_by = 0.0
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
