"""This module copies a message for another queue, and names the headers of a dead letter."""

from collections.abc import Mapping
from typing import Any

import aio_pika
from aio_pika.abc import AbstractIncomingMessage, DeliveryMode

HEADER_QUEUE = "x-origin-queue"
HEADER_ERROR = "x-error"
HEADER_ATTEMPTS = "x-attempts"
HEADER_USER = "x-origin-user"
HEADER_REFUSED_AT = "x-refused-at"


def origin_of(message: AbstractIncomingMessage) -> str:
    """Return the queue that a dead letter comes from. The service that gave the message up has
    written the queue into a header; what the broker gave up is routed by it.
    """
    return str(message.headers.get(HEADER_QUEUE) or message.routing_key or "")


def copy_of(message: AbstractIncomingMessage, headers: Mapping[str, Any]) -> aio_pika.Message:
    """Return the same persistent message with these headers.

    The broker lets nobody publish under another user's name, so the user's name moves into a
    header.
    """
    copied = dict(headers)
    if message.user_id is not None:
        copied.setdefault(HEADER_USER, message.user_id)
    return aio_pika.Message(
        message.body,
        headers=copied,
        content_type=message.content_type,
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=message.message_id,
        timestamp=message.timestamp,
        type=message.type,
        app_id=message.app_id,
    )
