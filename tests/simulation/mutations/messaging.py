"""Breaks what the messaging library promises."""

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch
from uuid import UUID

from libs.messaging.inbox.batches import BatchFailed
from libs.messaging.inbox.consumer import QueueConsumer
from libs.messaging.inbox.inbox import Inbox, Verdict
from libs.messaging.outbox.outbox import Outbox
from tests.simulation.database import Connection
from tests.simulation.mutations.registry import mutation
from tests.simulation.world import RelayFault, World


@mutation("there is no inbox")
def no_inbox() -> AbstractContextManager[object]:
    async def admit(self: Inbox, _: Any, consumer: str, messages: list[Any]) -> list[Verdict]:
        return [Verdict.NEW for _ in messages]

    return patch.object(Inbox, "admit", admit)


@mutation("the inbox looks at the id alone")
def no_fingerprint() -> AbstractContextManager[object]:
    rightly = Inbox.admit

    async def trusting(self: Inbox, connection: Any, consumer: str, messages: Any) -> Any:
        verdicts = await rightly(self, connection, consumer, messages)
        return [Verdict.DUPLICATE if each is Verdict.TAMPERED else each for each in verdicts]

    return patch.object(Inbox, "admit", trusting)


@mutation("the inbox is written outside the transaction")
def inbox_outside() -> AbstractContextManager[object]:
    inside = Connection._admitted

    def outside(self: Connection, consumer: str, ids: Any, hashes: Any) -> list[UUID]:
        hashes = list(hashes)
        known = self.database.tables.setdefault("inbox", {})
        new = inside(self, consumer, ids, hashes)
        known.update({(consumer, each): self.table("inbox")[consumer, each] for each in new})
        return new

    return patch.object(Connection, "_admitted", outside)


@mutation("the outbox is written outside the transaction")
def outbox_outside() -> AbstractContextManager[object]:
    inside = Outbox.write

    async def outside(self: Outbox, connection: Any, rows: Any) -> None:
        connection.database.tables.setdefault("outbox", {}).update({row.id: row for row in rows})
        await inside(self, connection, rows)

    return patch.object(Outbox, "write", outside)


@mutation("a message is acknowledged before its commit")
def acknowledged_early() -> AbstractContextManager[object]:
    rightly = QueueConsumer._try

    async def early(self: QueueConsumer[Any], deliveries: Any) -> BatchFailed | None:
        for delivery in deliveries:
            await self._acknowledge(delivery.message)
        return await rightly(self, deliveries)

    return patch.object(QueueConsumer, "_try", early)


@mutation("an event is noted as published before it is")
def noted_early() -> AbstractContextManager[object]:
    rightly = World.relay

    def early(self: World, service: str, rows: Any, fault: RelayFault) -> None:
        rightly(self, service, rows, RelayFault.NONE)
        if fault is not RelayFault.NONE:
            for messages in self.broker.queues.values():
                messages[:] = [each for each in messages if each.message_id != str(rows[-1].id)]

    return patch.object(World, "relay", early)
