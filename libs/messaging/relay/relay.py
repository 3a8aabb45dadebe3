"""A relay publishes the rows of the outbox in order per subject, and loses none.

    relay = Relay("orders", database_dsn="postgresql://…", rabbitmq_url="amqp://…",
                  window=window, wake_up=wake_up,
                  expected_queues={"order.confirmed.v1": ["customers.on.order.confirmed.v1"]})
    await relay.start()     # returns at once; a broker or database that is away is retried
    relay.problems          # empty when all is well: readiness
    await relay.stop()      # finishes the current batch, sends what is due, closes

Any number of relays may serve one outbox. Each has a few claimers (`claimer`), which claim rows,
publish them and delete what was confirmed (`claims`), a janitor, and a watch over the queues.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from libs.messaging.broker_url import BrokerUrl
from libs.messaging.database import DATABASE_ERRORS, Connection, connect
from libs.messaging.database_url import Dsn
from libs.messaging.kept_connection import KeptConnection
from libs.messaging.outbox.wakeup import WakeUp
from libs.messaging.relay.backlog import Backlog
from libs.messaging.relay.broker import Broker, BrokerUnavailable
from libs.messaging.relay.claimer import Claimer, Work
from libs.messaging.relay.frames import Frames
from libs.messaging.relay.janitor import Janitor
from libs.messaging.relay.publisher import Publisher
from libs.messaging.relay.queue_watch import QueueWatch
from libs.messaging.relay.settings import RelaySettings
from libs.messaging.schema.inbox_window import InboxWindow
from libs.messaging.supervision import Supervisor

__all__ = ["Relay", "RelaySettings"]


class Relay:
    """`service` names the exchange, and the source of the rows that the relay takes. `retention`
    keeps delivered rows in the archive for so long; None deletes them. `window` is the one of the
    subscribers that get the events. Raises ValueError when rows could go out that an inbox no
    longer remembers.
    """

    def __init__(
        self,
        service: str,
        *,
        database_dsn: Dsn,
        rabbitmq_url: BrokerUrl,
        window: InboxWindow,
        wake_up: WakeUp | None = None,
        unconsumed: Collection[str] = (),
        expected_queues: Mapping[str, Sequence[str]] | None = None,
        retention: timedelta | None = None,
        settings: RelaySettings | None = None,
    ) -> None:
        self.service = service
        self.settings = settings = settings or RelaySettings()
        for kept in (settings.limits.window, retention or timedelta(0)):
            if kept > window.replayable:
                raise ValueError(f"{kept} is longer than an inbox remembers: {window.past}")
        self._dsn = database_dsn
        self._started = False
        self._connections: list[KeptConnection] = []
        self._supervisor = Supervisor(
            f"{service} relay", expected=(BrokerUnavailable, *DATABASE_ERRORS), describe=_sentence
        )
        self._work = Work(wake_up or WakeUp(), settings)

        def publisher(broker: Broker) -> Publisher:
            return Publisher(broker, frames, timeout=settings.publish_timeout)

        def broker(queues: Mapping[str, Sequence[str]] | None = None) -> Broker:
            return Broker(
                service, rabbitmq_url, expected_queues=queues, timeout=settings.publish_timeout
            )

        self._broker = broker(expected_queues)
        frames = Frames(service, self._broker.user, unconsumed)
        archive = retention is not None
        self._queues = QueueWatch(
            self._broker,
            lambda: publisher(broker()),
            self._connect,
            settings,
            archive=archive,
            released=self._work.may_go,
        )
        self._janitor = Janitor(
            service,
            self._connection(),
            self._work.scan_start,
            settings,
            row_freed=self._work.may_go,
        )
        self._claimers = [
            Claimer(
                service,
                self._connection(),
                publisher(self._broker),
                self._work,
                self._queues,
                settings,
                archive=archive,
            )
            for _ in range(settings.claimers)
        ]

    @property
    def backlog(self) -> Backlog:
        """Return what waited in the outbox a second ago."""
        return self._janitor.backlog

    @property
    def problems(self) -> tuple[str, ...]:
        """Say why the relay is not ready; empty when rows can flow."""
        found = list(dict.fromkeys(self._supervisor.problems.values()))
        if not found and not self._work.has_claimed:
            found.append("the relay has not started")
        return (*found, *self._queues.problems)

    @property
    def ready(self) -> bool:
        return not self.problems

    async def start(self) -> None:
        for number, claimer in enumerate(self._claimers):
            self._supervisor.start(f"claimer {number}", claimer.step)
        self._supervisor.start("janitor", self._janitor.step)
        self._supervisor.start("queues", self._queues.step, wake=self._queues.wake)
        self._started = True

    async def stop(self) -> None:
        """Finish the current batch, send what is due for at most `flush` seconds, close. Do nothing
        where `start` was not called.
        """
        if not self._started:
            return
        self._work.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.flush):
                await self._work.drained.wait()
        self._work.stop()
        await self._supervisor.stop(within=self.settings.publish_timeout + 2)
        for connection in self._connections:
            connection.close()
        await self._broker.close()

    async def run(self) -> None:
        """Start, go on until cancelled, then stop."""
        await self.start()
        try:
            await self._supervisor.stopping.wait()
        finally:
            await self.stop()

    def _connection(self) -> KeptConnection:
        self._connections.append(KeptConnection(self._connect))
        return self._connections[-1]

    async def _connect(self) -> Connection:
        return await connect(
            self._dsn, f"{self.service} relay", statement_cache=self.settings.statement_cache
        )


def _sentence(error: BaseException) -> str:
    part = "broker" if isinstance(error, BrokerUnavailable) else "database"
    return f"{part}: {str(error) or type(error).__name__}"
