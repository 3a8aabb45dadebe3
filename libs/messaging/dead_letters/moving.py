"""This module moves dead letters out of a queue that was declared before its arguments changed.

The broker refuses to change the arguments of a queue, so the new queue has a new name.
"""

from collections.abc import Collection

from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity

from libs.messaging.dead_letters.copies import HEADER_QUEUE, copy_of, origin_of


async def move_dead_letters(
    connection: AbstractConnection, old: str, new: str, exchange: str, keys: Collection[str]
) -> int:
    """Send what is ready in `old` through `exchange`, where `new` is bound by its own name, and
    unbind `old` from `keys`. Returns how many; 0 where there is no `old`. The queue `old` stays:
    consumers may still hold messages of it, and those return to it.

    A message is acknowledged when the broker has confirmed its copy, so a move that is stopped
    loses nothing and goes on when it is called again.
    """
    channel = await connection.channel(on_return_raises=True)
    try:
        source = await channel.declare_queue(old, passive=True)
    except ChannelNotFoundEntity:
        return 0
    for key in keys:
        await source.unbind(exchange, key)
    target = await channel.get_exchange(exchange, ensure=False)
    count = 0
    for _ in range(source.declaration_result.message_count or 0):
        message = await source.get(fail=False)
        if message is None:
            break
        headers = {**message.headers, HEADER_QUEUE: origin_of(message)}
        await target.publish(copy_of(message, headers), new, mandatory=True)
        await message.ack()
        count += 1
    await channel.close()
    return count
