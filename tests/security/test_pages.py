"""Every page of the portal answers each tenant and role as `matrix.py` says."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from libs.kernel.ids import uuid7
from services.portal.domain.user import ROLES, User
from tests.fixtures.whole_market import WholeMarket, person
from tests.security.matrix import PAGES, PUBLIC
from tests.security.things import PRICE, Things

pytestmark = pytest.mark.asyncio(loop_scope="module")

GUARDED = [endpoint for endpoint, row in PAGES.items() if row != PUBLIC]
OF_A_TENANT = [
    endpoint
    for endpoint in GUARDED
    if "_id}" in endpoint and endpoint != "POST /vehicles/{vehicle_id}/buy"
]
"""A purchase begins in the caller's own tenant, and fails where the vehicle does not exist."""
Form = Callable[[Things], Awaitable[dict[str, Any]]]


def always(**fields: Any) -> Form:
    async def same(_: Things) -> dict[str, Any]:
        return fields

    return same


async def _payment(things: Things) -> dict[str, Any]:
    return {"code": await things.id("code"), "method": "tok_approve"}


FORMS: dict[str, Form] = {
    "POST /account/customer": always(
        name="Maria Souza", phone="+5511987654321", document="52998224725"
    ),
    "POST /account/customer/change": always(version="0", name="Maria Lima"),
    "POST /credit-requests/{customer_id}/grant": always(version="1", limit="50000"),
    "POST /credit-requests/{customer_id}/decline": always(version="1"),
    "POST /account/password": always(current_password="wrong", password="also wrong"),
    "POST /vehicles/{vehicle_id}/buy": always(price_cents=str(PRICE)),
    "POST /purchases/{order_id}/pay": _payment,
    "POST /sell/new": always(key=str(uuid.uuid4())),
    "POST /sell/{vehicle_id}": always(version="1"),
    "POST /users": always(name="x"),
    "POST /users/{user_id}/password": always(password="short"),
}


@pytest_asyncio.fixture(loop_scope="module")
async def things(market: WholeMarket) -> Things:
    return await Things(market).begin()


async def call(things: Things, who: User | None, endpoint: str) -> httpx.Response:
    """Return the answer to this person's browser."""
    method, _, template = endpoint.partition(" ")
    path = await things.path(_with_a_service(template))
    client = await things.market.browser(who)
    request: dict[str, Any] = {}
    if endpoint in FORMS:
        request["data"] = await FORMS[endpoint](things)
    return await client.request(method, path, **request)


def _with_a_service(template: str) -> str:
    """Return a path under whose name nothing waits for a person. Who may look is redirected."""
    of_money = template.replace("{service}/{identifier}", f"payments/{uuid7()}")
    return of_money.replace("{service}", "orders")


async def cast(things: Things, endpoint: str) -> dict[str, User]:
    """Return who owns the things, by role."""
    newcomer = person("buyer", tenant=things.tenant)
    buyer = newcomer if endpoint == "POST /account/customer" else things.buyer
    people = (buyer, things.seller, things.operator, things.admin)
    known = await asyncio.gather(*map(things.market.signed_up, people))
    return {next(iter(each.roles)): each for each in known}


@pytest.mark.parametrize("endpoint", GUARDED)
async def test_each_role_may_do_what_its_row_says(things: Things, endpoint: str) -> None:
    allowed = {role.rstrip("*") for role in PAGES[endpoint].split()}
    people = await cast(things, endpoint)
    for role in sorted(people, key=lambda role: role in allowed):
        answer = await call(things, people[role], endpoint)
        if role in allowed:
            assert answer.status_code not in (401, 403, 404), role
            assert answer.status_code < 500, role
            assert "sign-in" not in answer.headers.get("Location", ""), role
        else:
            expected = (403, 404) if "{" in endpoint else (403,)
            assert answer.status_code in expected, role


@pytest.mark.parametrize("endpoint", GUARDED)
async def test_a_visitor_who_is_not_signed_in_is_sent_to_the_sign_in_page(
    things: Things, endpoint: str
) -> None:
    answer = await call(things, None, endpoint)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/sign-in?next=")


@pytest.mark.parametrize("endpoint", [each for each in GUARDED if each.startswith("POST")])
async def test_without_the_token_of_the_page_nothing_changes(things: Things, endpoint: str) -> None:
    known = await things.market.signed_up(things.admin)
    client = await things.market.browser(known)
    del client.headers["X-CSRF-Token"]
    path = await things.path(_with_a_service(endpoint.removeprefix("POST ")))
    assert (await client.post(path)).status_code == 403


@pytest.mark.parametrize("endpoint", [each for each in GUARDED if "*" in PAGES[each]])
async def test_another_ones_thing_does_not_exist(things: Things, endpoint: str) -> None:
    for starred in PAGES[endpoint].split():
        if starred.endswith("*"):
            other = person(starred[:-1], tenant=things.tenant, customer_id=uuid7())
            answer = await call(things, await things.market.signed_up(other), endpoint)
            assert answer.status_code == 404


@pytest.mark.parametrize("endpoint", OF_A_TENANT)
async def test_another_tenants_thing_does_not_exist_whatever_the_role(
    things: Things, endpoint: str
) -> None:
    stranger = person(*ROLES, tenant="elsewhere", customer_id=things.customer_id)
    answer = await call(things, await things.market.signed_up(stranger), endpoint)
    assert answer.status_code == 404
