"""Runs the whole market behind real sockets, in a thread with its own event loop."""

import asyncio
import socket
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import uvicorn
from fastapi import FastAPI

from services.portal.domain.user import User
from tests.fixtures.whole_market import Databases, WholeMarket, app_of, open_market

T = TypeVar("T")


@dataclass
class Serving:
    """`addresses` are where each service answers, by name."""

    market: WholeMarket
    addresses: dict[str, str]
    loop: asyncio.AbstractEventLoop

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the services' event loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def token(self, person: User) -> str:
        return self.wait(self.market.headers(person))["Authorization"]


@contextmanager
def serving_market(databases: Databases, folder: Path) -> Iterator[Serving]:
    ready: Future[Serving] = Future()
    ended: Future[asyncio.Event] = Future()

    async def live() -> None:
        over = asyncio.Event()
        ended.set_result(over)
        async with AsyncExitStack() as stack:
            market = await stack.enter_async_context(open_market(databases, folder))
            addresses = {
                name: await stack.enter_async_context(listening(app_of(client)))
                for name, client in market.services.items()
            }
            ready.set_result(Serving(market, addresses, asyncio.get_running_loop()))
            await over.wait()

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = Thread(target=run, name="services")
    thread.start()
    try:
        yield ready.result(300)
    finally:
        if ready.exception() is None:
            ready.result().loop.call_soon_threadsafe(ended.result().set)
        thread.join(60)


@asynccontextmanager
async def listening(app: FastAPI):  # type: ignore[no-untyped-def]
    """Yield the address of an application whose lifespan runs already."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, http="httptools", lifespan="off", log_config=None, access_log=False)
    )
    server.capture_signals = no_signals  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@contextmanager
def no_signals() -> Iterator[None]:
    """Let uvicorn install no signal handlers here, because they belong to the main thread."""
    yield
