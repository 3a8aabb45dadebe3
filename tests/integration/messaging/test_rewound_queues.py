"""After databases were restored to an earlier time, `rewind` makes the queues agree with them."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from deploy.backup.failure import BackupFailed
from deploy.backup.queues import Rewound, rewind
from libs.kernel.ids import time_of, uuid7
from libs.messaging.database import Connection
from libs.messaging.dead_letters.copies import HEADER_QUEUE
from libs.messaging.saga.choreography import choreography_of
from tests.fixtures.servers import PostgresServer, fresh_database
from tests.integration.messaging import sample
from tests.integration.messaging.relaying import install
from tests.integration.messaging.sample import QUEUE, on_the_wire, order_placed
from tests.integration.messaging.wire import send, waiting

pytestmark = [pytest.mark.long, pytest.mark.slow]
TYPE = "order.placed.v1"
DEAD = "credit.dead-letters"
ARCHIVE = """
    INSERT INTO outbox_archive (seq, id, subject, type, body, created_at)
    VALUES ($1, $2, 's', $3, $4, $5)"""
OUTBOX = "INSERT INTO outbox (id, subject, type, body) VALUES ($1, 's', $2, $3)"
INBOX = """
    INSERT INTO inbox (message_id, consumer, made_at, payload_hash) VALUES ($1, $2, $3, '')"""


@dataclass
class World:
    """Shop publishes events and credit consumes them, but neither runs. `moment` is now."""

    urls: Mapping[str, str]
    shop: Connection
    credit: Connection
    channel: AbstractChannel
    broker: str
    moment: datetime

    async def rewound(self) -> Rewound:
        participants = choreography_of([sample.shop(), sample.credit()]).participants
        return await rewind(self.urls, participants, self.broker, self.moment)

    async def archive(self, identifier: UUID) -> UUID:
        body = on_the_wire(order_placed(), identifier)
        seq = identifier.int % 2**62
        await self.shop.execute(ARCHIVE, seq, identifier, TYPE, body, time_of(identifier))
        return identifier

    async def consume(self, identifier: UUID) -> None:
        await self.credit.execute(INBOX, identifier, QUEUE, time_of(identifier))

    async def queue(self, identifier: UUID) -> UUID:
        body = on_the_wire(order_placed(), identifier)
        await send(self.channel, body, type=TYPE, message_id=str(identifier))
        return identifier

    async def bury(self, identifier: UUID) -> UUID:
        body = on_the_wire(order_placed(), identifier)
        await send(
            self.channel,
            body,
            exchange="credit.dlx",
            routing_key=QUEUE,
            type=TYPE,
            message_id=str(identifier),
            headers={HEADER_QUEUE: QUEUE},
        )
        return identifier

    async def holds(self, queue: str) -> list[str]:
        """Remove all messages from the queue, and return their ids."""
        declared = await self.channel.declare_queue(queue, passive=True)
        found = []
        while message := await declared.get(no_ack=True, fail=False):
            found.append(message.message_id or "")
        return sorted(found)


@pytest.fixture
async def world(
    postgres_server: PostgresServer, broker: str, channel: AbstractChannel
) -> AsyncIterator[World]:
    async with fresh_database(postgres_server) as one, fresh_database(postgres_server) as other:
        urls = {}
        for name, url in (("shop", one), ("credit", other)):
            await install(url)
            urls[name] = url.replace("+asyncpg", "")
        shop, credit = await asyncpg.connect(urls["shop"]), await asyncpg.connect(urls["credit"])
        try:
            yield World(urls, shop, credit, channel, broker, datetime.now(UTC))
        finally:
            await shop.close()
            await credit.close()


def made(at: datetime) -> UUID:
    """Return an id of that time."""
    rest = uuid7().int & ((1 << 80) - 1)
    return UUID(int=int(at.timestamp() * 1000) << 80 | rest)


async def test_messages_unknown_to_the_databases_go_and_known_ones_stay(world: World) -> None:
    known = await world.queue(await world.archive(uuid7()))
    unsent = await world.queue(uuid7())
    await world.shop.execute(OUTBOX, unsent, TYPE, b"{}")
    await world.queue(uuid7())  # its purchase never was
    old = await world.queue(made(world.moment - timedelta(days=3)))  # no archive is that old
    await send(world.channel, b"no event", message_id="somebody's")

    assert await world.rewound() == Rewound(discarded=1, sent=0)
    assert await world.rewound() == Rewound(discarded=0, sent=0)

    assert await world.holds(QUEUE) == sorted([str(known), str(unsent), str(old), "somebody's"])


async def test_messages_delivered_since_are_sent_again_and_consumed_ones_are_not(
    world: World,
) -> None:
    await world.consume(await world.archive(uuid7()))
    lost = await world.archive(made(world.moment - timedelta(days=1)))

    assert await world.rewound() == Rewound(discarded=0, sent=1)
    assert await world.rewound() == Rewound(discarded=0, sent=0)

    assert await world.holds(QUEUE) == [str(lost)]


async def test_dead_letters_of_a_lost_time_go_and_others_are_not_sent_again(world: World) -> None:
    kept = await world.bury(await world.archive(uuid7()))
    await world.bury(uuid7())

    assert await world.rewound() == Rewound(discarded=1, sent=0)

    assert await world.holds(DEAD) == [str(kept)]
    assert await waiting(world.channel) == 0


async def test_thousands_of_messages_keep_their_order(world: World) -> None:
    kept = [await world.archive(made(world.moment)) for _ in range(1500)]
    for identifier in kept:
        await world.queue(identifier)

    assert await world.rewound() == Rewound(discarded=0, sent=0)

    declared = await world.channel.declare_queue(QUEUE, passive=True)
    first = await declared.get(no_ack=True)
    assert first is not None
    assert first.message_id == str(kept[0])
    assert await waiting(world.channel) == len(kept) - 1


async def test_a_queue_with_a_consumer_is_left_alone(world: World) -> None:
    await world.queue(uuid7())
    queue = await world.channel.declare_queue(QUEUE, passive=True)
    await world.channel.set_qos(prefetch_count=1)

    async def keep(_: AbstractIncomingMessage) -> None:
        """Keep the message: do not return it to the queue."""

    tag = await queue.consume(keep)

    with pytest.raises(BackupFailed, match=f"a service consumes {QUEUE}"):
        await world.rewound()

    await queue.cancel(tag)
