"""Services answer with 304 and compression where HTTP asks for it, and always with
the headers of security.
"""

import gzip
from typing import Any
from uuid import uuid4

import pytest

from deploy.services import SERVICES
from services.portal.domain.user import ROLES, User
from services.portal.infrastructure.web.templating import FOR_TLS, HEADERS
from tests.fixtures.whole_market import WholeMarket, person
from tests.security.things import new_customer, new_vehicle

pytestmark = pytest.mark.asyncio(loop_scope="module")
each_service = pytest.mark.parametrize("service", [spec.name for spec in SERVICES])
KPI = {"name": "n", "sql_template": "SELECT 1 AS one"}


def somebody() -> User:
    return person(*ROLES, tenant=f"t-{uuid4().hex}")


MADE: dict[str, Any] = {
    "orders": ("/orders", lambda _: {}),
    "customers": ("/customers", lambda _: new_customer()),
    "vehicles": ("/vehicles", lambda user: new_vehicle(user.id)),
    "payouts": ("/payouts", lambda _: {"external_id": uuid4().hex, "amount_cents": 1}),
    "kpis": ("/kpis", lambda _: {**KPI, "id": f"k_{uuid4().hex}"}),
}


@pytest.mark.parametrize("service", MADE)
async def test_an_event_that_is_known_is_not_sent_again(market: WholeMarket, service: str) -> None:
    user, (path, body) = somebody(), MADE[service]
    made = await market.ask(user, service, "POST", path, json=body(user))
    place, etag = made.headers["Location"], made.headers["ETag"]
    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        same = await market.ask(user, service, "GET", place, headers={"If-None-Match": known})
        assert (same.status_code, same.content) == (304, b""), known
        assert same.headers["ETag"] == etag
        assert "Content-Type" not in same.headers
    other = await market.ask(user, service, "GET", place, headers={"If-None-Match": '"0"'})
    assert (other.status_code, other.headers["ETag"]) == (200, etag)
    assert "Authorization" in other.headers["Vary"]
    missing = f"{path}/{uuid4()}"
    gone = await market.ask(user, service, "GET", missing, headers={"If-None-Match": "*"})
    assert gone.status_code == 404


@each_service
async def test_metrics_are_compressed_for_who_takes_it(market: WholeMarket, service: str) -> None:
    client = market.services[service]
    zipped = await client.get("/metrics", headers={"Accept-Encoding": "gzip"})
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert "http_request_duration_seconds" in zipped.text
    plain = await client.get("/metrics", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert int(zipped.headers["Content-Length"]) < len(plain.content) / 3


async def test_pages_are_compressed_and_answers_to_programs_are_not(market: WholeMarket) -> None:
    portal = market.services["portal"]
    page = await portal.get("/sign-in", headers={"Accept-Encoding": "gzip"})
    assert page.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in page.headers["Vary"]
    answer = await portal.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers
    assert len(gzip.compress(answer.content)) < len(answer.content)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/sign-in", 200),
        ("GET", "/health", 200),
        ("GET", "/metrics", 200),
        ("GET", "/docs", 200),
        ("GET", "/docs/assets/swagger-ui.css", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/asyncapi", 200),
        ("GET", "/api/health", 200),
        ("GET", "/.well-known/jwks.json", 200),
        ("GET", "/static/portal.css", 200),
        ("GET", "/account", 303),
        ("GET", "/nowhere", 404),
        ("GET", "/api/nowhere", 404),
        ("DELETE", "/api/health", 405),
        ("GET", "/api/audits", 401),
        ("POST", "/api/sessions", 422),
        ("POST", "/sign-in", 403),
        ("POST", "/api/token", 413),
    ],
)
async def test_every_answer_of_the_portals_origin_has_the_headers_of_a_page(
    market: WholeMarket, method: str, path: str, status: int
) -> None:
    portal = market.services["portal"]
    too_much = b"x" * (portal.service.settings.max_body_bytes + 1)
    body = too_much if status == 413 else b"{}" if method == "POST" else None
    answer = await portal.request(method, path, content=body)
    assert answer.status_code == status
    own = {"Cache-Control", "Content-Security-Policy"}
    for name, value in HEADERS.items():
        assert name in answer.headers, name
        if name not in own:
            assert answer.headers[name] == value
    assert "unsafe-eval" not in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert not FOR_TLS.keys() & answer.headers.keys()


async def test_tokens_and_sessions_are_kept_by_nobody(market: WholeMarket) -> None:
    user = await market.signed_up(somebody())
    browser = await market.browser(user)
    for answer in (
        await browser.get("/api/sessions"),
        await browser.post("/api/token"),
        await browser.post("/api/sessions", json={"email": "x@example.com", "password": "x"}),
        await browser.delete("/api/sessions/current"),
    ):
        assert answer.headers["Cache-Control"] == "no-store"
