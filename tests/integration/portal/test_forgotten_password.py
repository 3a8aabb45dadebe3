"""A forgotten password is reset with a mailed token, which is valid once and for an hour; no answer
reveals who has an account.
"""

import asyncio
import io
import re
from collections.abc import AsyncIterator
from contextlib import redirect_stdout
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from services.portal.domain.user import User
from services.portal.infrastructure.store.postgres import Store
from tests.fixtures.services import ServiceClient, serving
from tests.integration.portal.conftest import PASSWORD, AddUser, Built, Serve, execute, signed_in
from tests.integration.portal.pages import error_of, submit

NEW = "a new battery staple"
SENT = "If somebody signs in with this e-mail, a message is on its way to it."
NO_GOOD = "This link is no longer good"
PUBLIC = "https://market.example"


@pytest.fixture
async def portal(built: Built, portal_database: str) -> AsyncIterator[ServiceClient]:
    async with serving(built(mailer="console", public_url=f"{PUBLIC}/")) as client:
        yield client


@pytest.fixture(autouse=True)
async def buyer(add_user: AddUser) -> User:
    return await add_user("buyer")


async def ask(portal: ServiceClient, email: str, **headers: str) -> tuple[httpx.Response, str]:
    """Request a reset. Returns the answer and the mailed messages."""
    page, mailed = await portal.get("/forgot-password"), io.StringIO()
    with redirect_stdout(mailed):
        portal.headers.update(headers)
        answer = await submit(portal, page, "/forgot-password", email=email)
    return answer, mailed.getvalue()


async def link_for(portal: ServiceClient, email: str = "buyer@example.com") -> str:
    _, mailed = await ask(portal, email)
    found = re.search(rf"{PUBLIC}(/reset-password\?token=\S+)", mailed)
    assert found, mailed
    return found[1]


async def set_password(portal: ServiceClient, link: str, password: str = NEW) -> httpx.Response:
    page = await portal.get(link)
    if page.status_code != 200:
        return page
    token = parse_qs(urlsplit(link).query)["token"][0]
    return await submit(portal, page, "/reset-password", token=token, password=password)


async def enters(portal: ServiceClient, password: str) -> bool:
    body = {"email": "buyer@example.com", "password": password}
    answer = await portal.post("/api/sessions", json=body)
    portal.cookies.clear()
    return answer.status_code == 201


async def test_the_mailed_link_sets_a_new_password_and_ends_every_session(
    portal: ServiceClient, serve: Serve
) -> None:
    async with serve() as elsewhere:
        await signed_in(elsewhere, "buyer@example.com")
        link = await link_for(portal)
        assert (await elsewhere.get("/api/sessions")).status_code == 200
        answer = await set_password(portal, link)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
        assert "The password was changed." in (await portal.get("/sign-in")).text
        assert (await elsewhere.get("/api/sessions")).status_code == 401
    assert not await enters(portal, PASSWORD)
    assert await enters(portal, NEW)


async def test_a_link_is_good_once_and_looking_at_it_uses_nothing_up(portal: ServiceClient) -> None:
    link = await link_for(portal)
    for _ in range(3):
        assert (await portal.get(link)).status_code == 200
    too_short = await set_password(portal, link, "short")
    assert too_short.status_code == 422
    assert error_of(too_short, "password") == "A password has 10 to 128 characters."
    page = await portal.get(link)
    token = parse_qs(urlsplit(link).query)["token"][0]
    tries = [
        submit(portal, page, "/reset-password", token=token, password=f"{NEW} {n}")
        for n in range(4)
    ]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*tries))
    assert statuses == [303, 410, 410, 410]
    assert (await portal.get(link)).status_code == 410
    assert NO_GOOD in (await set_password(portal, link)).text


async def test_a_link_is_good_for_an_hour(portal: ServiceClient, portal_database: str) -> None:
    link = await link_for(portal)
    [row] = await execute(portal_database, "SELECT expires_at - now() AS rest FROM password_resets")
    assert 3500 < row["rest"].total_seconds() <= 3600
    await execute(portal_database, "UPDATE password_resets SET expires_at = now()")
    assert (await portal.get(link)).status_code == 410
    assert await enters(portal, PASSWORD)


@pytest.mark.parametrize("token", ["", "x" * 43, "x" * 999, "á\x00", "' OR 1=1 --"], ids=range(5))
async def test_a_token_that_was_not_mailed_is_refused(portal: ServiceClient, token: str) -> None:
    answer = await portal.get("/reset-password", params={"token": token})
    assert (answer.status_code, NO_GOOD in answer.text) == (410, True)
    page = await portal.get("/forgot-password")
    answer = await submit(portal, page, "/reset-password", token=token, password=NEW)
    assert (answer.status_code, NO_GOOD in answer.text) == (410, True)


async def test_nobody_learns_who_has_an_account(
    portal: ServiceClient, add_user: AddUser, transactions: Store
) -> None:
    disabled = await add_user("seller")
    disabled.disable()
    await transactions.run(lambda uow: uow.users.save(disabled))
    known, mailed = await ask(portal, " Buyer@Example.com ")
    assert "/reset-password" in mailed
    for email in ("nobody@example.com", "seller@example.com", "no address", ""):
        unknown, mailed = await ask(portal, email)
        assert mailed == ""
        if email:
            assert (unknown.status_code, _text(unknown)) == (200, _text(known))
    assert SENT in known.text


async def test_work_for_an_account_is_done_after_the_answer(
    portal: ServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the time of the answer nor a failing mail server reveals who has an account."""

    async def fails(*_: Any) -> None:
        raise OSError("no mail today")

    monkeypatch.setattr("services.portal.infrastructure.identity.mail.ConsoleMail.send", fails)
    answer, _ = await ask(portal, "buyer@example.com")
    assert (answer.status_code, SENT in answer.text) == (200, True)


async def test_a_mailbox_is_not_flooded_and_what_was_sent_stays_good(portal: ServiceClient) -> None:
    first = await link_for(portal)
    mailed = [(await ask(portal, "buyer@example.com"))[1] for _ in range(5)]
    assert [bool(each) for each in mailed] == [True, True, False, False, False]
    assert (await portal.get(first)).status_code == 200


async def test_a_new_password_ends_the_other_links_and_a_disabled_users_lead_nowhere(
    portal: ServiceClient, transactions: Store, buyer: User
) -> None:
    first, second, third = [await link_for(portal) for _ in range(3)]
    assert (await set_password(portal, first)).status_code == 303
    assert (await portal.get(second)).status_code == 410
    assert (await portal.get(third)).status_code == 410
    link = await link_for(portal)
    buyer.disable()
    await transactions.run(lambda uow: uow.users.save(buyer))
    assert (await set_password(portal, link)).status_code == 410
    assert not await enters(portal, NEW)


async def test_the_link_leads_where_the_settings_say_whatever_the_request_says(
    portal: ServiceClient,
) -> None:
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    _, mailed = await ask(portal, "buyer@example.com", **evil)
    assert PUBLIC in mailed
    assert "evil.example" not in mailed


async def test_neither_the_database_nor_the_console_names_the_user(
    portal: ServiceClient, portal_database: str, buyer: User
) -> None:
    _, mailed = await ask(portal, buyer.email)
    assert buyer.email not in mailed
    assert buyer.name not in mailed
    link = re.search(r"token=(\S+)", mailed)
    assert link
    [row] = await execute(
        portal_database, "SELECT string_agg(p::text, '') AS t FROM password_resets p"
    )
    assert link[1] not in row["t"]
    assert link[1].encode().hex() not in row["t"]


async def test_the_buyer_who_asked_and_the_admin_who_decided_are_audited(
    portal: ServiceClient, transactions: Store, buyer: User
) -> None:
    await set_password(portal, await link_for(portal))
    audits = await transactions.run(lambda uow: uow.audits.page("default", None, 2))
    told = [(each.entry.action, each.entry.actor, each.entry.target) for each in audits]
    assert told == [
        ("user.password_reset", str(buyer.id), str(buyer.id)),
        ("user.password_reset_requested", "anonymous", str(buyer.id)),
    ]


async def test_the_mail_is_in_the_users_language_and_the_pages_in_the_visitors(
    portal: ServiceClient, portal_database: str
) -> None:
    await execute(portal_database, "UPDATE users SET locale = 'pt'")
    _, mailed = await ask(portal, "buyer@example.com", **{"Accept-Language": "es"})
    assert "Este link vale por uma hora" in mailed
    assert "Contraseña olvidada" in (await portal.get("/forgot-password")).text


async def test_after_setting_it_the_new_password_enters_at_once_whoever_tried_before(
    portal: ServiceClient,
) -> None:
    for _ in range(6):
        assert not await enters(portal, "wrong horse battery")
    assert not await enters(portal, PASSWORD)
    await set_password(portal, await link_for(portal))
    assert await enters(portal, NEW)


async def test_without_mail_the_page_says_whom_to_ask(serve: Serve) -> None:
    async with serve() as portal:
        assert "Ask an administrator" in (await portal.get("/forgot-password")).text
        page = await portal.get("/sign-in")
        assert 'href="/forgot-password"' in page.text
        mailed = io.StringIO()
        with redirect_stdout(mailed):
            answer = await submit(portal, page, "/forgot-password", email="buyer@example.com")
        assert "Ask an administrator" in answer.text
        assert mailed.getvalue() == ""


def _text(answer: httpx.Response) -> str:
    """Return the page's text without what differs at each visit."""
    return re.sub(r'"[0-9a-f]{128}"', "", unescape(answer.text))
