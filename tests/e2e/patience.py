"""Retries while services are unavailable. With an idempotency key a retry is safe."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeVar

import httpx

Answer = TypeVar("Answer")

IN_FLIGHT = "idempotency-key-in-flight"


async def until_answered(
    request: Callable[[], Awaitable[Answer]],
    *,
    patience: float = 60,
    on_failure: Callable[[Exception], None] = lambda _: None,
) -> Answer:
    """Retry until the service answers. Raises its refusal, or after `patience` seconds the last
    error. `on_failure` is called for each failed try.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return await request()
        except (httpx.TransportError, httpx.HTTPStatusError) as error:
            if _is_refusal(error) or time.monotonic() > deadline:
                raise
            on_failure(error)
        await asyncio.sleep(0.1)


async def unless_too_late(request: Callable[[], Awaitable[None]]) -> bool:
    """Return False if it is refused, because the code has expired or the vehicle was picked up."""
    try:
        await request()
    except httpx.HTTPStatusError as error:
        if error.response.status_code != HTTPStatus.CONFLICT or _is_in_flight(error):
            raise
        return False
    return True


def _is_refusal(error: httpx.TransportError | httpx.HTTPStatusError) -> bool:
    if not isinstance(error, httpx.HTTPStatusError) or _is_in_flight(error):
        return False
    return error.response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR


def _is_in_flight(error: httpx.HTTPStatusError) -> bool:
    """Return whether the service is still working on the first try, whose answer the client did not
    wait for.
    """
    response = error.response
    return response.status_code == HTTPStatus.CONFLICT and IN_FLIGHT in response.text
