"""Joins all services, the broker between them, one clock and one source of ids."""

import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from deploy.checker.purchase import Purchase as Held
from deploy.checker.records import STATEMENTS
from libs.kernel.errors import DomainError
from libs.messaging.outbox.outbox import OutboxRow
from libs.messaging.saga.choreography import read
from libs.messaging.saga.reactions import Step
from libs.runtime.settings import CHOREOGRAPHY
from services.orders.domain.purchase import Purchase
from tests.simulation.broker import Broker, Message
from tests.simulation.database import Crash, Fault
from tests.simulation.money import Money
from tests.simulation.parts import Seen, parts
from tests.simulation.service import Service, run, service_of

START = datetime(2026, 1, 1, tzinfo=UTC)
VIEWS = tuple(
    each.name
    for each in read(CHOREOGRAPHY).participants
    if all(consumed.step is Step.VIEW for consumed in each.consumes)
)
"""These services move no purchase."""
BATCH = 100


class RelayFault(Enum):
    """A `RelayFault` happens to a relay while it publishes one event."""

    NONE = "none"
    DIES = "it dies before it notes that the event was published"
    REACHES_ONE = "the broker dies when the first queue has the event, and the relay does not know"


class World:
    """A `World` takes nothing from the queues in `stalled`, and no message of the queues and
    subjects in `late`, until somebody clears them. A single delivery disregards both.
    """

    def __init__(self) -> None:
        self.now = START
        self.stalled: set[str] = set()
        self.late: set[tuple[str, str]] = set()
        self._made = 0
        taking_part = parts(self.clock, self.new_id)
        self.reactions = [each for part in taking_part for each in part.participant.reacts_to]
        self.broker = Broker.between([part.participant for part in taking_part])
        self.services: dict[str, Service] = {
            each.participant.name: service_of(
                each.participant, each.unit, self.broker, self.clock, self.new_id
            )
            for each in taking_part
        }
        self._records = {
            each.participant.name: each.records
            for each in taking_part
            if each.participant.name in STATEMENTS
        }

    def clock(self) -> datetime:
        return self.now

    def new_id(self) -> UUID:
        """Return a UUID of version 7, with the next number in place of the random bits."""
        self._made += 1
        milliseconds = int(self.now.timestamp() * 1000)
        return UUID(int=milliseconds << 80 | 0x7 << 76 | 0x2 << 62 | self._made)

    def do(
        self, service: str, work: Callable[[Any], Awaitable[Any]], fault: Fault = Fault.NONE
    ) -> Any:
        """Run `work` in a transaction of the service. Return None when the service refuses it, or
        when no answer arrives; in that case it may be committed.
        """
        where = self.services[service]
        where.database.fault = fault
        try:
            return run(where.transactions.run(work))
        except (DomainError, Crash, DBAPIError):
            return None
        finally:
            where.database.fault = Fault.NONE

    def relay(self, service: str, rows: Sequence[OutboxRow], fault: RelayFault) -> None:
        """Publish these events of the service's outbox. The fault happens at the last of them."""
        tables = self.services[service].database.tables
        for number, row in enumerate(rows, 1):
            struck = fault if number == len(rows) else RelayFault.NONE
            most = 1 if struck is RelayFault.REACHES_ONE else None
            self.broker.publish(service, row, most=most)
            if struck is RelayFault.NONE:
                tables["outbox"] = {k: v for k, v in tables["outbox"].items() if k != row.id}
                tables["archive"] = {**tables.get("archive", {}), row.id: row}

    def relay_again(self, service: str, row: OutboxRow) -> None:
        self.broker.publish(service, row, most=None)

    def deliver(self, queue: str, messages: Sequence[Message], fault: Fault = Fault.NONE) -> None:
        self.services[queue.partition(".")[0]].consume(queue, messages, fault)

    def outbox(self, service: str) -> list[OutboxRow]:
        return list(self.services[service].database.table("outbox").values())

    def archive(self, service: str) -> list[OutboxRow]:
        return list(self.services[service].database.table("archive").values())

    def rows(self, service: str, table: str) -> dict[Any, Any]:
        return self.services[service].database.table(table)

    def purchases(self) -> dict[UUID, Purchase]:
        orders = self.rows("orders", "orders").values()
        return {order.id: order.purchase for order in orders if order.purchase}

    def held(self, money: Money) -> Iterator[Held]:
        """Yield every purchase that any service has a record of, as all services hold it."""
        known = {
            name: records(Seen(partial(self.rows, name), money, self.now))
            for name, records in self._records.items()
        }
        for order_id in dict.fromkeys(order_id for each in known.values() for order_id in each):
            yield Held(order_id, {name: each.get(order_id) for name, each in known.items()})

    def read(self, row: OutboxRow) -> dict[str, Any]:
        """Return the event as it was published."""
        event: dict[str, Any] = json.loads(row.body)
        return event

    def queues_that_handled(self, service: str, row: OutboxRow) -> list[str]:
        queues = self.broker.bindings.get((service, row.type), [])
        return [queue for queue in queues if self.times_handled(queue, row.id)]

    def times_handled(self, queue: str, event_id: UUID) -> int:
        handled = self.rows(queue.partition(".")[0], "handled")
        times: int = handled.get((queue, event_id), 0)
        return times

    def work_off(self, first: int = 0) -> bool:
        """Let every relay publish, and consume what waits in each queue once, beginning with the
        queue of number `first`. Views, stalled queues and late messages are left out. Return
        whether anything was published or consumed.
        """
        moved = False
        for service in self.services:
            if rows := self.outbox(service):
                self.relay(service, rows, RelayFault.NONE)
                moved = True
        waiting = [each for each in self.broker.waiting() if not each.startswith(VIEWS)]
        start = first % max(1, len(waiting))
        for queue in (*waiting[start:], *waiting[:start]):
            if queue not in self.stalled:
                moved = self._consume_ready(queue) or moved
        return moved

    def update_views(self) -> None:
        """Let the views consume everything that waits for them."""
        while waiting := [each for each in self.broker.waiting() if each.startswith(VIEWS)]:
            for queue in waiting:
                self._consume_ready(queue)

    def _consume_ready(self, queue: str) -> bool:
        before = self.broker.queues[queue]
        ready = [each for each in before if (queue, each.subject) not in self.late]
        if ready:
            self.deliver(queue, ready[:BATCH])
        return len(self.broker.queues[queue]) < len(before)
