"""Each failed check at start ends the process in one line; then uvicorn runs until SIGTERM."""

import asyncio
import errno
import gc
import logging
import resource
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import uvicorn
import uvloop
from fastapi import FastAPI

from libs.runtime.application import create_app
from libs.runtime.broker_check import check_broker
from libs.runtime.connections import Connection
from libs.runtime.database import check_database
from libs.runtime.jwks import KeySet, KeysUnavailable
from libs.runtime.logging import configure_logging
from libs.runtime.resealing import reseal, to_standard_error
from libs.runtime.service import Service
from libs.runtime.settings import ServiceSettings, read_settings
from libs.runtime.start_failure import StartFailure, one_line_errors
from libs.runtime.telemetry import recording

S = TypeVar("S", bound=ServiceSettings)

RESEAL = "re-seal"
GC_ALLOCATIONS = 20_000
"""This many allocations lie between two runs of the cycle collector. A request or a batch makes
hundreds of objects and hardly a cycle, so Python's default of 700 would start several runs in each.
"""
KEEP_ALIVE_SECONDS = 75
"""Idle connections are kept longer than proxies keep theirs (nginx and many balancers 60 seconds).
So the proxy ends a connection first, and no request arrives on a connection that is just being
closed.
"""
OPEN_FILES = 4096
"""The process asks for this limit of open files; connections of clients, of the database and of the
broker count. Many systems allow 1,024 unless a process asks for more.
"""


def main(settings_type: type[S], build: Callable[[S], Service[Any]]) -> None:
    """Run the service until SIGTERM or Ctrl-C; with the word `re-seal` seal anew what earlier data
    keys have sealed, and end. An error at start is one line and exit code 2.
    """
    gc.set_threshold(GC_ALLOCATIONS, 20, 50)
    with one_line_errors():
        if words := [word for word in sys.argv[1:] if word != RESEAL]:
            raise StartFailure(f"{words[0]!r} is not known: leave it out, or write {RESEAL}")
        settings = read_settings(settings_type)
        if RESEAL in sys.argv[1:]:
            sys.exit(asyncio.run(_reseal(settings, build)))
        serve(settings, lambda: build(settings))


async def _reseal(settings: S, build: Callable[[S], Service[Any]]) -> int:
    """Seal anew. Returns the exit code: 1 when an earlier key is still used."""
    await check_database(settings)
    service = build(settings)
    try:
        if service.sealed is None:
            raise StartFailure(f"{settings.service} seals nothing")
        engine = service.transactions.engine
        result = await reseal(engine, service.sealed, progress=to_standard_error)
    finally:
        for close in service.closing:
            await close()
        await service.transactions.engine.dispose()
    for line in result.lines():
        print(line)  # noqa: T201
    return 1 if result.left else 0


def serve(settings: ServiceSettings, build: Callable[[], Service[Any]]) -> None:
    """Run until SIGTERM or Ctrl-C. Raises StartFailure for what the operator can mend."""
    configure_logging(settings.service, settings.log_level)
    signal.signal(signal.SIGTERM, _leave)
    _allow_open_files()
    listener = _listen(settings.host, settings.port)
    try:
        with recording(settings.service, settings.otel_exporter_otlp_endpoint):
            uvloop.run(_serve(settings, build, listener))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    finally:
        listener.close()


async def _serve(
    settings: ServiceSettings, build: Callable[[], Service[Any]], listener: socket.socket
) -> None:
    await check_database(settings)
    await check_broker(settings)
    await _check_keys(settings)
    app = create_app(build())
    server = Server(app, configuration(app, settings))
    await server.serve(sockets=[listener])
    if not server.started:
        raise StartFailure(f"{settings.service} did not start, see the log above")


def configuration(app: FastAPI, settings: ServiceSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=partial(Connection, is_proxy=settings.is_proxy),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


class Server(uvicorn.Server):
    """This server tells event streams to end, because uvicorn waits for every answer."""

    def __init__(self, app: FastAPI, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.stopping.set()
        await super().shutdown(sockets)


async def _check_keys(settings: ServiceSettings) -> None:
    if settings.checks_peer_tokens:
        try:
            await KeySet(settings.jwks_url).load()
        except KeysUnavailable as error:
            raise StartFailure(str(error)) from None


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise StartFailure(f"port {port} on {host} is in use: set PORT") from None
        raise StartFailure(f"cannot listen on {host}:{port}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


def _leave(*_: object) -> None:
    """Leave when SIGTERM comes before the server runs, or from uvicorn after an orderly stop."""
    logging.shutdown()
    raise SystemExit(0)
