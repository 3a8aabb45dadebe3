"""The parts of a service's process run beside the web application, by role, and end in order."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Protocol

from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.messaging.database import DATABASE_ERRORS
from libs.messaging.inbox.failures import summarize
from libs.messaging.inbox.subscriber import Subscriber
from libs.messaging.outbox.wakeup import Listener, Notifier, WakeUp
from libs.messaging.relay.relay import Relay, RelaySettings
from libs.messaging.schema.inbox_window import INBOX_WINDOW
from libs.messaging.schema.partitions import PartitionUpkeep
from libs.messaging.supervision import Supervisor
from libs.runtime.certificates import watching_certificates
from libs.runtime.data_keys import KeyCheck
from libs.runtime.idempotency import IDEMPOTENCY_KEYS, delete_expired
from libs.runtime.loops import Loop
from libs.runtime.readiness import SAMPLE_SECONDS, Readiness
from libs.runtime.service import Service
from libs.runtime.written_choreography import expected_queues

CLOSE_SECONDS = 5.0
LOOP_PAUSE_SECONDS = 30.0
"""A loop that fails again and again pauses at most this long."""
KEY_CHECK_SECONDS = 2.0
"""The start waits at most this long for the check of the rows' keys. The check then goes on beside
the service.
"""
KEY_CHECK_PAUSE_SECONDS = 600.0
"""That check pauses at most this long while it fails again and again: it reads whole tables."""
LOOP_STOP_SECONDS = 15.0
"""A loop may take this long to finish what it has begun; then it is cancelled."""


@asynccontextmanager
async def running(service: Service[Any], app: FastAPI, readiness: Readiness) -> AsyncIterator[None]:
    """Start the upkeep of partitions, relay, subscriber and loops as the role asks. At the end, in
    this order: stop the intake and finish what has begun, finish the loops, flush the relay, close
    the service's own connections, close the pool.
    """
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_close, service.transactions.engine)
        for close in service.closing:
            stack.push_async_callback(close)
        if app.state.authenticator.keys is not None:
            await app.state.authenticator.keys.load()
        await stack.enter_async_context(_watching(readiness))
        await stack.enter_async_context(watching_certificates(service.settings))
        if service.replica is not None and service.settings.serves_api:
            readiness.notes["replica"] = service.replica.note
            await stack.enter_async_context(_started(service.replica))
        await stack.enter_async_context(_checking_keys(service, readiness))
        await stack.enter_async_context(_keeping_partitions(service, readiness))
        await stack.enter_async_context(_relaying(service, readiness))
        if service.settings.works:
            await stack.enter_async_context(
                _looping([*service.loops, *_own_loops(service)], readiness)
            )
            await stack.enter_async_context(_subscribing(service, readiness))
        yield


async def _close(engine: AsyncEngine) -> None:
    """Close the pool, but wait only a bounded time: connections close one after another, and the
    database may not answer.
    """
    closing = asyncio.create_task(engine.dispose())
    await asyncio.wait({closing}, timeout=CLOSE_SECONDS)


@asynccontextmanager
async def _checking_keys(service: Service[Any], readiness: Readiness) -> AsyncIterator[None]:
    if service.sealed is None:
        yield
        return
    check = KeyCheck(service.transactions.engine, service.sealed)
    looked = asyncio.Event()

    async def look() -> float:
        try:
            return await check.look()
        finally:
            looked.set()

    async def fit() -> bool:
        return check.problem is None

    readiness.checks["data keys"] = fit
    readiness.notes["data keys"] = lambda: check.problem
    parts = Supervisor(
        "data keys",
        expected=(*DATABASE_ERRORS, DBAPIError, PoolTimeout),
        describe=summarize,
        longest_pause=KEY_CHECK_PAUSE_SECONDS,
    )
    parts.start("look", look)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(KEY_CHECK_SECONDS):
                await looked.wait()
        yield
    finally:
        await parts.stop(within=0)


@asynccontextmanager
async def _keeping_partitions(service: Service[Any], readiness: Readiness) -> AsyncIterator[None]:
    """Keep partitions in every process that writes the inbox or the archive. The upkeep starts
    before the process writes.
    """
    settings = service.settings
    if not (settings.works or settings.relays):
        yield
        return
    upkeep = PartitionUpkeep(
        settings.service,
        database_dsn=settings.current_dsn,
        window=INBOX_WINDOW,
        retention=settings.outbox_retention,
        own=service.own_partitions,
    )

    async def kept() -> bool:
        return not upkeep.problems

    readiness.checks["partitions"] = kept
    async with _started(upkeep):
        yield


@asynccontextmanager
async def _relaying(service: Service[Any], readiness: Readiness) -> AsyncIterator[None]:
    """Run the relay, or a way to wake the one in another process; neither where the service
    publishes nothing.
    """
    settings = service.settings
    if not service.participant.publishes:
        yield
        return
    if not settings.relays:
        notifier = Notifier(settings.current_dsn)
        service.transactions.after_commit = notifier.signal
        async with _started(notifier):
            yield
        return
    wake_up = WakeUp()
    service.transactions.after_commit = wake_up.signal
    relay = Relay(
        settings.service,
        database_dsn=settings.current_dsn,
        rabbitmq_url=settings.current_broker,
        window=INBOX_WINDOW,
        wake_up=wake_up,
        unconsumed=service.participant.unconsumed,
        expected_queues=expected_queues(service.participant, service.choreography),
        retention=settings.outbox_retention,
        settings=RelaySettings(statement_cache=0) if settings.pgbouncer else None,
    )

    async def flowing() -> bool:
        return relay.ready

    readiness.checks["relay"] = flowing
    async with AsyncExitStack() as stack:
        if settings.rabbitmq_management_url:
            # Its HTTP client costs memory and start-up time, so it is imported only where the API
            # is used.
            from libs.messaging.relay.bindings import BindingWatch

            watch = BindingWatch(
                settings.service,
                management_url=settings.current_management,
                rabbitmq_url=settings.rabbitmq_url,
                expected_queues=expected_queues(service.participant, service.choreography),
            )
            readiness.checks["bindings"] = watch.ready
            await stack.enter_async_context(_started(watch))
        if not settings.pgbouncer:
            await stack.enter_async_context(_started(Listener(settings.current_dsn, wake_up)))
        await stack.enter_async_context(_started(relay))
        yield


@asynccontextmanager
async def _subscribing(service: Service[Any], readiness: Readiness) -> AsyncIterator[None]:
    subscriber = Subscriber(
        service.participant,
        service.transactions,
        service.tables,
        service.settings.current_broker,
        window=INBOX_WINDOW,
    )
    readiness.checks["subscriber"] = subscriber.ready
    readiness.notes["subscriber"] = subscriber.note
    async with _started(subscriber):
        yield


class _Part(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


@asynccontextmanager
async def _started(part: _Part) -> AsyncIterator[None]:
    await part.start()
    try:
        yield
    finally:
        await part.stop()


def _own_loops(service: Service[Any]) -> list[Loop]:
    """Return the loop that deletes expired idempotency keys, if the service has the table."""
    table = service.tables.outbox.metadata.tables.get(IDEMPOTENCY_KEYS)
    if table is None:
        return []
    engine = service.transactions.engine
    return [Loop("idempotency keys", 600.0, lambda: delete_expired(engine, table))]


@asynccontextmanager
async def _watching(readiness: Readiness) -> AsyncIterator[None]:
    parts = Supervisor("readiness")

    async def sample() -> float:
        await readiness.sample()
        return SAMPLE_SECONDS

    await readiness.sample()
    parts.start("sampler", sample)
    try:
        yield
    finally:
        await parts.stop(within=0)


@asynccontextmanager
async def _looping(loops: Iterable[Loop], readiness: Readiness) -> AsyncIterator[None]:
    """Run the loops. One that fails is a note only: the other loops and the requests go on."""
    parts = Supervisor(
        "loops",
        expected=(*DATABASE_ERRORS, DBAPIError, PoolTimeout),
        describe=summarize,
        longest_pause=LOOP_PAUSE_SECONDS,
    )

    def failing() -> str | None:
        return "; ".join(f"{name}: {problem}" for name, problem in parts.problems.items()) or None

    readiness.notes["loops"] = failing
    for loop in loops:
        loop.start(parts)
    try:
        yield
    finally:
        await parts.stop(within=LOOP_STOP_SECONDS)
