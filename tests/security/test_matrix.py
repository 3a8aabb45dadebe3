"""With AUTH=on, every endpoint answers each tenant and role as `matrix.py` says."""

import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import pytest_asyncio

from libs.kernel.ids import uuid7
from services.portal.domain.errors import EmailTaken
from services.portal.domain.user import ROLES, User
from tests.fixtures.whole_market import WholeMarket, person
from tests.security.bodies import BODIES, LISTED, NAMED_IN_BODY
from tests.security.matrix import ENDPOINTS, EVERYWHERE, PAGES, PUBLIC, SIGNED_IN
from tests.security.routes import endpoints
from tests.security.things import Things

pytestmark = pytest.mark.asyncio(loop_scope="module")

GUARDED = [
    (service, endpoint)
    for service, rows in ENDPOINTS.items()
    for endpoint, row in rows.items()
    if row not in (PUBLIC, SIGNED_IN)
]
SPECIAL = {
    "{order_id}/confirm": "{draft_id}/confirm",
    "{user_id}/customer": "{buyer_id}/customer",
}
"""The object that a path is about, where its name alone does not say it."""
FOR_USERS = ("GET /api/purchases/{order_id}/timeline/events",)
"""A stream lasts as long as its user exists, so a token alone is not enough."""
each_guarded = pytest.mark.parametrize(("service", "endpoint"), GUARDED)


@pytest_asyncio.fixture(loop_scope="module")
async def things(market: WholeMarket, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Things]:
    # The stream of an unknown purchase waits this long for the purchase.
    monkeypatch.setattr("services.portal.infrastructure.http.HEARD_WITHIN_SECONDS", 0)
    yield await Things(market).begin()


async def call(things: Things, who: User | None, service: str, endpoint: str) -> httpx.Response:
    """Return the answer to this person, about the objects of `things`. With None, the request has
    no token.
    """
    method, _, template = endpoint.partition(" ")
    for general, special in SPECIAL.items():
        template = template.replace(general, special)
    path = await things.path(template)
    if who is not None and who.roles and endpoint in FOR_USERS:
        with suppress(EmailTaken):
            await things.market.signed_up(who)
    if endpoint in LISTED:
        await things.id(LISTED[endpoint])
    make = BODIES.get(endpoint)
    request: dict[str, Any] = {"headers": {"If-Match": "1"}}
    if make is not None:
        request["json"] = await make(things, who)
    if who is not None:
        return await things.market.ask(who, service, method, path, **request)
    request["headers"] |= {"X-Tenant-Id": things.tenant, "Idempotency-Key": uuid.uuid4().hex}
    return await things.market.services[service].request(method, path, **request)


def cast(things: Things, endpoint: str) -> dict[str, User]:
    """Return who owns the things, by role. `nobody` has a token and no role."""
    newcomer = person("buyer", tenant=things.tenant)
    return {
        "nobody": person(tenant=things.tenant),
        "buyer": newcomer if endpoint == "POST /customers" else things.buyer,
        "seller": things.seller,
        "operator": things.operator,
        "admin": things.admin,
    }


@pytest.mark.parametrize("service", ENDPOINTS)
async def test_every_endpoint_has_its_row(market: WholeMarket, service: str) -> None:
    expected = {endpoint.partition("?")[0] for endpoint in ENDPOINTS[service]} | set(EVERYWHERE)
    if service == "portal":
        expected |= set(PAGES)
    assert endpoints(market.services[service]) == expected


@each_guarded
async def test_each_role_may_do_what_its_row_says(
    things: Things, service: str, endpoint: str
) -> None:
    allowed = {role.rstrip("*") for role in ENDPOINTS[service][endpoint].split()}
    people = cast(things, endpoint)
    for role in sorted(people, key=lambda role: role in allowed):  # first those who are refused
        answer = await call(things, people[role], service, endpoint)
        if role in allowed:
            assert answer.status_code not in (401, 403, 404), (role, answer.text)
            assert answer.status_code < 500, (role, answer.text)
            if endpoint in LISTED:
                assert await things.id(LISTED[endpoint]) in answer.text
        else:
            assert answer.status_code == 403, (role, answer.text)


@each_guarded
async def test_without_a_token_nothing_is_answered(
    things: Things, service: str, endpoint: str
) -> None:
    answer = await call(things, None, service, endpoint)
    assert answer.status_code == 401, answer.text
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("service", "endpoint", "role"),
    [
        (service, endpoint, role.rstrip("*"))
        for service, endpoint in GUARDED
        for role in ENDPOINTS[service][endpoint].split()
        if role.endswith("*")
    ],
)
async def test_another_ones_thing_does_not_exist(
    things: Things, service: str, endpoint: str, role: str
) -> None:
    other = person(role, tenant=things.tenant, customer_id=uuid7())
    answer = await call(things, other, service, endpoint)
    thing = endpoint.partition(" ")[2].rpartition("}")[0]
    readable = role in ENDPOINTS[service].get(f"GET {thing}}}", "").split()
    if readable or is_made_by(endpoint):
        assert answer.status_code == 403, answer.text
    else:
        await assert_not_there(answer, endpoint, things)


@each_guarded
async def test_another_tenants_thing_does_not_exist_whatever_the_role(
    things: Things, service: str, endpoint: str
) -> None:
    """Neither a claim to the same customer record nor an equal name gives access."""
    stranger = person(*ROLES, tenant="elsewhere", customer_id=things.customer_id)
    answer = await call(things, stranger, service, endpoint)
    if is_made_by(endpoint):
        assert answer.is_success, answer.text  # for the caller's own tenant
    else:
        await assert_not_there(answer, endpoint, things)


def is_made_by(endpoint: str) -> bool:
    """Return whether the endpoint creates something new and names no existing object."""
    if endpoint == "PUT /users/{user_id}/customer":
        return True
    return endpoint.startswith("POST") and "{" not in endpoint and endpoint not in NAMED_IN_BODY


async def assert_not_there(answer: httpx.Response, endpoint: str, things: Things) -> None:
    if "{" in endpoint or endpoint in NAMED_IN_BODY:
        assert answer.status_code == 404, answer.text
    else:
        assert answer.status_code == 200, answer.text
        if endpoint in LISTED:
            assert await things.id(LISTED[endpoint]) not in answer.text


SESSIONS = [endpoint for endpoint, row in ENDPOINTS["portal"].items() if row == SIGNED_IN]


@pytest.mark.parametrize("endpoint", SESSIONS)
async def test_sessions_are_for_the_browser_that_holds_them(
    market: WholeMarket, things: Things, endpoint: str
) -> None:
    """A token of any role gives no access to them, and another user's session is not found."""
    everybody = await market.signed_up(person(*ROLES, tenant=things.tenant))
    method, _, template = endpoint.partition(" ")
    path = template.format(session_id=uuid7())
    assert (await market.ask(everybody, "portal", method, path)).status_code == 401
    browser = await market.browser(everybody)
    answer = await browser.request(method, path)
    assert answer.status_code == (404 if "{" in template else 200 if method != "DELETE" else 204)


@pytest.mark.parametrize("service", ENDPOINTS)
async def test_a_public_endpoint_needs_no_token(market: WholeMarket, service: str) -> None:
    public = [endpoint for endpoint, row in ENDPOINTS[service].items() if row == PUBLIC]
    for endpoint in [*EVERYWHERE, *public]:
        method, _, path = endpoint.partition(" ")
        if method == "GET":
            answer = await market.services[service].get(path)
            assert answer.status_code in (200, 503), endpoint  # 503: not ready
