"""A service as a process: the web application, and by its role the relay, subscriber and loops."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware.gzip import GZipMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from libs.messaging.outbox import metrics as outbox_metrics
from libs.messaging.outbox.unit_of_work import Transactions, UnitOfWork
from libs.messaging.saga.choreography import Choreography
from libs.messaging.saga.participant import Participant
from libs.messaging.schema.partitions import Maintain
from libs.messaging.schema.tables import MessagingTables
from libs.runtime import common_endpoints, given_up, handlers, openapi
from libs.runtime.answering import COMPRESSION, UNCOMPRESSED, NotModified, UsualHeaders
from libs.runtime.auth import Authenticator
from libs.runtime.data_keys import Sealed
from libs.runtime.database import check_database
from libs.runtime.limits import RequestLimits
from libs.runtime.loops import Loop
from libs.runtime.metrics import PoolUse, start_at_zero
from libs.runtime.readiness import Check, Readiness
from libs.runtime.replica import Replica
from libs.runtime.routes import add, templates
from libs.runtime.running import running
from libs.runtime.settings import ServiceSettings, read_settings
from libs.runtime.start_failure import StartFailure, one_line_errors
from libs.runtime.telemetry import RequestContext
from libs.runtime.written_choreography import check_own

Unit = TypeVar("Unit", bound=UnitOfWork)
S = TypeVar("S", bound=ServiceSettings)

RESEAL = "re-seal"
RESERVED_CONNECTIONS = 4
"""Connections of the pool that requests do not get: two for the subscriber's batches, one for the
sampler, one for a loop. More loops at work at once use the overflow. The relay has connections of
its own.
"""


@dataclass(frozen=True)
class Service(Generic[Unit]):
    """Everything a service's main.py wires together.

    `description` and `tags`, with a sentence on each, are for its OpenAPI document. `install` adds
    to the application what is no router: mounts, handlers of its own errors, state. `closing` are
    awaited when the service ends: connections of its own. `unplaced` are paths that hold no place
    among the requests at work, such as static files; `streams` are those of event streams, which
    are counted apart. `own_partitions` keeps the partitions of its own tables, together with those
    of the library's tables. `sealed` are the columns whose keys are checked at the start.
    `api_checks` are asked by readiness where the process answers requests: what only they need.
    `headers` are those of every answer that says nothing else. `replica` is looked at where the
    process answers requests.
    """

    settings: ServiceSettings
    participant: Participant
    choreography: Choreography
    tables: MessagingTables
    transactions: Transactions[Unit]
    routers: Sequence[APIRouter]
    loops: Sequence[Loop] = ()
    authenticator: Authenticator | None = None
    closing: Sequence[Callable[[], Awaitable[None]]] = ()
    install: Callable[[FastAPI], None] = lambda _: None
    unplaced: Callable[[str], bool] = lambda _: False
    streams: Callable[[str], bool] = lambda _: False
    forms: bool = False
    own_partitions: Maintain | None = None
    sealed: Sealed | None = None
    api_checks: Mapping[str, Check] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    replica: Replica | None = None
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def create_app(service: Service[Any]) -> FastAPI:
    """The web application of every role; its lifespan runs what the role asks for.

    Raises StartFailure where the choreography differs from the service's code.
    """
    settings, engine = service.settings, service.transactions.engine
    check_own(service.participant, service.choreography)
    tags = dict(service.tags)
    if service.participant.publishes:
        tags |= given_up.TAGS
    readiness = Readiness(engine, settings)
    if settings.serves_api:
        readiness.checks.update(service.api_checks)
    app = FastAPI(
        title=settings.service,
        description=service.description,
        openapi_tags=[{"name": name, "description": said} for name, said in tags.items()],
        docs_url=None,
        redoc_url=None,
        lifespan=lambda app: running(service, app, readiness),
        telemetry={"tracing": False, "metrics": False, "logs": False},  # RequestContext does it
    )
    app.state.settings = settings
    app.state.readiness = readiness
    app.state.authenticator = service.authenticator or Authenticator(settings)
    app.state.stopping = asyncio.Event()
    app.state.registry = CollectorRegistry()
    app.state.registry.register(PoolUse(engine))
    handlers.install(app)
    openapi.install(app, type(settings).__module__.partition(".infrastructure")[0])
    common_endpoints.install(app, service.participant, service.choreography)
    if settings.serves_api:
        routers = list(service.routers)
        if service.participant.publishes:
            routers.append(given_up.router(engine, tenant_attribute=settings.tenant_attribute))
        for router in routers:
            add(app, router)
        service.install(app)
    app.add_middleware(NotModified)
    app.add_middleware(
        GZipMiddleware, compresslevel=COMPRESSION, exclude_content_types=UNCOMPRESSED
    )
    app.add_middleware(
        RequestLimits,
        max_body_bytes=settings.max_body_bytes,
        places=settings.pool_size - RESERVED_CONNECTIONS,
        closed=readiness.overload,
        free=lambda path: path in common_endpoints.FREE or service.unplaced(path),
        streams=service.streams,
        forms=service.forms,
    )
    app.add_middleware(RequestContext)
    if service.headers:
        app.add_middleware(UsualHeaders, headers=service.headers)
    start_at_zero(templates(app))
    stated = (event.type for event in service.participant.publishes)
    outbox_metrics.start_at_zero(settings.service, stated)
    if settings.proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=settings.proxies)
    return app


def main(settings_type: type[S], build: Callable[[S], Service[Any]]) -> None:
    """Run the service until SIGTERM or Ctrl-C; with the word `re-seal` seal anew what earlier data
    keys have sealed, and end. An error at start is one line and exit code 2.
    """
    with one_line_errors():
        if words := [word for word in sys.argv[1:] if word != RESEAL]:
            raise StartFailure(f"{words[0]!r} is not known: leave it out, or write {RESEAL}")
        settings = read_settings(settings_type)
        if RESEAL in sys.argv[1:]:
            sys.exit(asyncio.run(_reseal(settings, build)))
        from libs.runtime.server import serve

        serve(settings, lambda: build(settings))


async def _reseal(settings: S, build: Callable[[S], Service[Any]]) -> int:
    """Returns the exit code: 1 when an earlier key is still used."""
    from libs.runtime.resealing import reseal, to_standard_error

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
