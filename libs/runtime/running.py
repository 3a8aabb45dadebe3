"""What runs in a service's process beside the web application, by role, and how it ends."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from libs.messaging.subscriber import Subscriber
from libs.runtime.loops import Loop
from libs.runtime.readiness import Readiness

if TYPE_CHECKING:
    from libs.runtime.service import Service


@asynccontextmanager
async def running(
    service: "Service[Any]", app: FastAPI, readiness: Readiness
) -> AsyncIterator[None]:
    """Starts relay, subscriber and loops as the role asks. At the end, in this order: stop the
    intake and finish what is in hand, finish the loops, flush the relay, close the pool.
    """
    settings = service.settings
    async with AsyncExitStack() as stack:
        stack.push_async_callback(service.transactions.engine.dispose)
        if app.state.authenticator.keys is not None:
            await app.state.authenticator.keys.load()
        await stack.enter_async_context(_watching(readiness))
        if settings.works:
            await stack.enter_async_context(_looping(service.loops))
            subscriber = Subscriber(
                service.participant, service.transactions, service.tables, settings.rabbitmq_url
            )
            stack.push_async_callback(subscriber.stop)
            await subscriber.start()
            readiness.checks["subscriber"] = subscriber.ready
        yield


@asynccontextmanager
async def _watching(readiness: Readiness) -> AsyncIterator[None]:
    await readiness.sample()
    task = asyncio.create_task(readiness.watch(), name="readiness")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def _looping(loops: Iterable[Loop]) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    tasks = [asyncio.create_task(loop.run(stopping), name=loop.name) for loop in loops]
    try:
        yield
    finally:
        stopping.set()
        await asyncio.gather(*tasks)
