"""Every service has these addresses: /health, /ready, /metrics, /asyncapi, and /docs offline."""

import asyncio
import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry
from starlette.responses import HTMLResponse, JSONResponse, Response

from libs.messaging.saga.choreography import Choreography
from libs.messaging.saga.participant import Participant
from libs.runtime.metrics import exposition
from libs.runtime.readiness import Readiness
from libs.runtime.routes import add

ASSETS = "/docs/assets"
FREE = frozenset({"/health", "/ready", "/metrics", "/docs", "/openapi.json", "/asyncapi"})
"""These paths are answered without a place among the requests at work."""

router = APIRouter(include_in_schema=False)


@router.get("/health")
async def health() -> Response:
    return JSONResponse({"status": "ok"})


@router.get("/ready")
async def ready(request: Request) -> Response:
    readiness: Readiness = request.app.state.readiness
    well, checks = await readiness.report()
    given_up = readiness.backlog.given_up
    content: dict[str, object] = {
        "status": "ready" if well else "not ready",
        "checks": checks,
        "outbox": {
            "rows": readiness.backlog.rows,
            "oldest_seconds": round(readiness.backlog.age, 3),
            "failing": readiness.backlog.failing,
            "given_up": given_up,
        },
    }
    if given_up:  # no 503: taking the process out of service would not help these events
        service = request.app.state.settings.service
        content["attention"] = f"events given up: {given_up}, see outbox list {service}"
    return JSONResponse(content, 200 if well else 503)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    registry: CollectorRegistry = request.app.state.registry
    return Response(exposition(registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=f"{request.app.title} API",
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon.png",
    )
    page.headers["Content-Security-Policy"] = _policy_of(bytes(page.body).decode())
    return page


def _policy_of(page: str) -> str:
    """Return a policy that allows the page's script, named by its hash, and its styles."""
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [b64encode(sha256(each.encode()).digest()).decode() for each in scripts]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return (
        f"default-src 'none'; script-src 'self' {allowed}; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none';"
        " frame-ancestors 'none'"
    )


@router.get("/asyncapi")
async def asyncapi(request: Request) -> Response:
    """Return what the service publishes and consumes, as an AsyncAPI 3 document."""
    state = request.app.state
    if not hasattr(state, "asyncapi"):
        state.asyncapi = await asyncio.to_thread(
            _described, state.participant, state.choreography, state.settings.vhost
        )
    return JSONResponse(state.asyncapi)


def _described(participant: Participant, choreography: Choreography, vhost: str) -> dict[str, Any]:
    from libs.messaging.saga.asyncapi import document  # only this page needs it

    return document(participant, choreography, vhost=vhost)


def install(app: FastAPI, participant: Participant, choreography: Choreography) -> None:
    """Add the addresses above to `app`."""
    app.state.participant = participant
    app.state.choreography = choreography
    add(app, router)
    assets = str(files("fastapi_offline") / "static")
    app.mount(ASSETS, StaticFiles(directory=assets), name="docs-assets")
