"""A user whose session has ended signs in again and keeps what was typed into a form."""

from html import unescape
from typing import Any
from uuid import UUID

import httpx
import pytest

from libs.kernel.ids import uuid7
from services.portal.domain.user import User
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import PASSWORD, Enter
from tests.integration.portal.pages import Behind, field_of, submit
from tests.security.matrix import PAGES, PUBLIC

OURS = {"Sec-Fetch-Site": "same-origin"}
TYPED = {
    "key": str(uuid7()),
    "make": "Citroën",
    "model": 'C3 "Live"',
    "colour": "prata\nfosco",
    "year": "2021",
    "price": "45.900,00",
    "plate": "ABC1D23",
    "chassis_number": "x",
    "renavam": "y",
}
POSTS = sorted(
    endpoint.removeprefix("POST ")
    for endpoint, row in PAGES.items()
    if endpoint.startswith("POST") and row != PUBLIC and endpoint != "POST /sign-out"
)


def lose_session(portal: ServiceClient) -> None:
    """Drop the cookie, as the browser does after twelve hours."""
    del portal.cookies["session"]
    portal.headers.pop("X-CSRF-Token", None)


async def send(portal: ServiceClient, to: str, **more: Any) -> httpx.Response:
    return await portal.post(
        to, data={"csrf_token": "of the session before", **TYPED, **more}, headers=OURS
    )


async def sign_in(portal: ServiceClient, page: httpx.Response, **typed: str) -> httpx.Response:
    kept = {name: field_of(page, name) for name in ("held", "next")}
    email, password = typed.pop("email", "seller@example.com"), typed.pop("password", PASSWORD)
    return await submit(portal, page, "/sign-in", email=email, password=password, **kept)


async def test_input_is_kept_through_signing_in_and_sent_on(
    portal: ServiceClient, behind: Behind, seller: User
) -> None:
    lose_session(portal)
    page = await send(portal, "/sell/new")
    assert page.status_code == 401
    assert "Your session has ended. What you filled in is kept" in page.text
    wrong = await sign_in(portal, page, password="wrong")
    assert wrong.status_code == 401
    resumed = await sign_in(portal, wrong)
    assert resumed.status_code == 200
    assert "You are signed in as Seller Silva" in resumed.text
    assert behind.calls == []
    assert 'action="/sell/new"' in resumed.text
    again = {name: field_of(resumed, name) for name in TYPED}
    assert again == TYPED
    behind.says("vehicles POST /vehicles", {"id": str(uuid7())}, 201)
    behind.says(f"vehicles GET /sellers/{seller.id}/vehicles", {"items": [], "next": None})
    done = await submit(portal, resumed, "/sell/new", **again)
    assert done.status_code == 303
    assert behind.bodies("vehicles POST /vehicles")[0]["make"] == "Citroën"


async def test_a_session_that_ended_on_the_server_is_no_different(
    portal: ServiceClient, behind: Behind, seller: User
) -> None:
    page = await portal.get("/sell/new")
    token, cookie = field_of(page, "csrf_token"), portal.cookies["session"]
    await submit(portal, page, "/sign-out")
    portal.cookies.set("session", cookie)
    portal.headers.pop("X-CSRF-Token")
    answer = await portal.post("/sell/new", data={"csrf_token": token, **TYPED}, headers=OURS)
    assert answer.status_code == 401
    assert unescape(field_of(answer, "held")).startswith('["/sell/new"')


async def test_somebody_else_who_signed_in_meanwhile_is_asked_and_named(
    portal: ServiceClient, behind: Behind, seller: User, enter: Enter
) -> None:
    await enter("admin")
    portal.headers.pop("X-CSRF-Token")
    answer = await send(portal, "/sell/new")
    assert answer.status_code == 200
    assert "You are signed in as Admin Silva" in answer.text
    assert {name: field_of(answer, name) for name in TYPED} == TYPED
    assert behind.calls == []


@pytest.mark.parametrize("endpoint", POSTS)
async def test_every_form_of_the_portal_leads_to_signing_in_and_back(
    portal: ServiceClient, behind: Behind, endpoint: str
) -> None:
    path = endpoint.format_map(Ids())
    more = {"password": "secret", "current_password": "secret"} if "password" in path else {}
    headers = {**OURS, "Referer": "http://service/the-page?x=1"}
    answer = await portal.post(path, data={"a": "b", **more}, headers=headers)
    if more:
        assert answer.headers["location"] == "/sign-in?next=/the-page%3Fx%3D1"
        assert "secret" not in answer.text
    else:
        assert answer.status_code == 401, answer.text
        assert field_of(answer, "next") == "/the-page?x=1"
        assert path in field_of(answer, "held")
    assert behind.calls == []


class Ids(dict[str, Any]):
    def __missing__(self, name: str) -> UUID:
        return uuid7()


async def test_a_file_is_chosen_again_and_the_page_says_so(
    portal: ServiceClient, seller: User
) -> None:
    lose_session(portal)
    answer = await portal.post(
        "/imports",
        files={"file": ("a.csv", b"x")},
        headers={**OURS, "Referer": "http://service/imports"},
    )
    assert answer.headers["location"] == "/sign-in?next=/imports"
    assert "fill in the form again" in (await portal.get(answer.headers["location"])).text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_input_that_another_site_sends_is_not_kept(
    portal: ServiceClient, behind: Behind, seller: User, headers: dict[str, str]
) -> None:
    lose_session(portal)
    answer = await portal.post("/sell/new", data=TYPED, headers=headers)
    assert answer.status_code == 403
    assert "ABC1D23" not in answer.text


async def test_a_browser_that_names_only_the_origin_is_believed(
    portal: ServiceClient, seller: User
) -> None:
    lose_session(portal)
    answer = await portal.post("/sell/new", data=TYPED, headers={"Origin": "http://service"})
    assert answer.status_code == 401
    assert field_of(answer, "held")


@pytest.mark.parametrize(
    "held",
    [
        "x",
        "[]",
        '["/a"]',
        '["https://evil.example", []]',
        '["//evil.example", []]',
        '["/a", [["b"]]]',
        "[1, []]",
        "null",
    ],
)
async def test_a_kept_form_that_is_none_of_ours_is_forgotten(
    portal: ServiceClient, seller: User, held: str
) -> None:
    lose_session(portal)
    page = await portal.get("/sign-in")
    answer = await submit(
        portal, page, "/sign-in", email=seller.email, password=PASSWORD, next="/sell", held=held
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/sell")


async def test_a_form_too_long_to_keep_is_filled_in_again(
    portal: ServiceClient, seller: User
) -> None:
    lose_session(portal)
    answer = await send(portal, "/sell/new", more="x" * 60_000)
    assert answer.headers["location"] == "/sign-in?next=/"


async def test_signing_out_of_a_session_that_has_ended_is_done(
    portal: ServiceClient, seller: User
) -> None:
    lose_session(portal)
    answer = await portal.post("/sign-out", data={"csrf_token": "old"}, headers=OURS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_a_sign_in_page_that_grew_old_is_shown_again(
    portal: ServiceClient, seller: User
) -> None:
    lose_session(portal)
    portal.cookies.clear()
    headers = {**OURS, "Referer": "http://service/sign-in?next=/sell"}
    typed = {"email": seller.email, "password": PASSWORD, "csrf_token": "old"}
    answer = await portal.post("/sign-in", data=typed, headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/sell")
