"""This module builds the web application of a service. Its lifespan runs the parts of its role."""

import asyncio
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware.gzip import GZipMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from libs.messaging.outbox import metrics as outbox_metrics
from libs.runtime import common_endpoints, given_up, handlers, openapi
from libs.runtime.answering import COMPRESSION, UNCOMPRESSED, NotModified, UsualHeaders
from libs.runtime.auth import Authenticator
from libs.runtime.limits import RequestLimits
from libs.runtime.metrics import PoolUse, start_at_zero
from libs.runtime.readiness import Readiness
from libs.runtime.routes import add, templates
from libs.runtime.running import running
from libs.runtime.service import Service
from libs.runtime.telemetry import RequestContext
from libs.runtime.written_choreography import check_own

RESERVED_CONNECTIONS = 4
"""Requests do not get these connections of the pool: two are for the subscriber's batches, one for
the sampler, one for a loop. More loops at work at once use the overflow. The relay has its own
connections.
"""


def create_app(service: Service[Any]) -> FastAPI:
    """Build the web application of every role; its lifespan runs what the role asks for.

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
    published = (event.type for event in service.participant.publishes)
    outbox_metrics.start_at_zero(settings.service, published)
    if settings.proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=settings.proxies)
    return app
