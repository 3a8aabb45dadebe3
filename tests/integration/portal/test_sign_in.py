"""Users sign in and out. Guessing, forged requests and ended sessions let nobody in."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from services.portal.application.change_password import change_password
from services.portal.domain.audit import Act
from services.portal.domain.sign_in_limits import ATTEMPTS
from services.portal.domain.user import User
from services.portal.infrastructure.store.postgres import Store
from tests.fixtures.services import ServiceClient
from tests.fixtures.whole_market import app_of
from tests.integration.portal.conftest import (
    PASSWORD,
    AddUser,
    Serve,
    execute,
    signed_in,
)

BUYER = {"email": "buyer@example.com", "password": PASSWORD}


@pytest.fixture(autouse=True)
async def buyer(add_user: AddUser) -> User:
    return await add_user("buyer")


async def test_a_user_signs_in_and_sees_the_session(portal: ServiceClient) -> None:
    answer = await portal.post(
        "/api/sessions", json=BUYER | {"email": " Buyer@Example.com "}, headers={"User-Agent": "X"}
    )
    assert answer.status_code == 201
    assert answer.json()["user"]["roles"] == ["buyer"]
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    [session] = (await portal.get("/api/sessions")).json()["items"]
    assert session["device"] == "X"
    assert session["is_this_one"]


async def test_behind_https_cookies_are_this_hosts_alone_and_https_is_kept(serve: Serve) -> None:
    async with serve(secure_cookies=True) as portal:
        answer = await portal.post("/api/sessions", json=BUYER)
        cookies = answer.headers.get_list("set-cookie")
        assert {each.partition("=")[0] for each in cookies} == {"__Host-session", "__Host-browser"}
        for cookie in cookies:
            said = cookie.lower()
            assert "; secure" in said
            assert "; path=/" in said
            assert "domain=" not in said
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        (value,) = (each for each in cookies if each.startswith("__Host-session"))
        session = {"Cookie": value.partition(";")[0]}
        assert (await portal.get("/api/sessions", headers=session)).status_code == 200
        other = {"Cookie": session["Cookie"].removeprefix("__Host-")}
        refused = await portal.get("/api/sessions", headers=other)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"] == 'Cookie cookie-name="__Host-session"'


async def test_a_csrf_token_is_another_text_each_time_and_good(portal: ServiceClient) -> None:
    first = (await portal.post("/api/sessions", json=BUYER)).json()["csrf_token"]
    second = app_of(portal).state.sessions.csrf_token_of(portal.cookies["session"])
    assert first != second
    for token in (first, second):
        headers = {"X-CSRF-Token": token}
        assert (await portal.post("/api/token", headers=headers)).status_code == 200
    for token in ("", "00", "no hex", first[:-2], first[::-1], "0" * 128):
        headers = {"X-CSRF-Token": token}
        assert (await portal.post("/api/token", headers=headers)).status_code == 403


async def test_wrong_password_and_unknown_e_mail_get_the_same_answer(portal: ServiceClient) -> None:
    wrong = await portal.post("/api/sessions", json=BUYER | {"password": "wrong horse battery"})
    unknown = await portal.post("/api/sessions", json=BUYER | {"email": "nobody@example.com"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert "set-cookie" not in wrong.headers


async def test_guesses_side_by_side_lock_the_account_even_for_the_right_password(
    portal: ServiceClient, portal_database: str
) -> None:
    guesses = [
        portal.post("/api/sessions", json=BUYER | {"password": f"guess number {n}"})
        for n in range(ATTEMPTS.here + 3)
    ]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*guesses))
    assert statuses == [401] * ATTEMPTS.here + [429] * 3
    locked = await portal.post("/api/sessions", json=BUYER)
    assert locked.status_code == 429
    assert 840 < int(locked.headers["Retry-After"]) <= 900
    await execute(portal_database, "UPDATE sign_in_attempts SET at = at - interval '16 minutes'")
    assert (await portal.post("/api/sessions", json=BUYER)).status_code == 201


@contextmanager
def reached_from(portal: ServiceClient, address: str) -> Iterator[httpx.AsyncClient]:
    """Yield a new browser at this address."""
    transport = httpx.ASGITransport(app_of(portal), client=(address, 50000))
    yield httpx.AsyncClient(transport=transport, base_url="http://portal")


async def tries(
    portal: ServiceClient, address: str, *, times: int = 1, right: bool = False
) -> list[int]:
    """Return the answers to sign-ins from a new browser at this address."""
    body = BUYER if right else BUYER | {"password": "wrong horse battery"}
    with reached_from(portal, address) as browser:
        answers = [await browser.post("/api/sessions", json=body) for _ in range(times)]
    return [answer.status_code for answer in answers]


async def minutes_pass(database: str, minutes: int) -> None:
    await execute(database, f"UPDATE sign_in_attempts SET at = at - interval '{minutes} minutes'")


async def test_wrong_guesses_of_a_stranger_never_lock_out_the_owner(
    portal: ServiceClient, portal_database: str
) -> None:
    assert await tries(portal, "198.51.100.5", times=6) == [401] * 5 + [429]
    for _ in range(5):
        assert await tries(portal, "198.51.100.9", right=True) == [201]
        await minutes_pass(portal_database, 14)
        await tries(portal, "198.51.100.5")
    assert await tries(portal, "198.51.100.9", right=True) == [201]


async def test_refused_tries_do_not_prolong_the_wait(
    portal: ServiceClient, portal_database: str
) -> None:
    await tries(portal, "198.51.100.5", times=5)
    for _ in range(7):
        await minutes_pass(portal_database, 2)
        assert await tries(portal, "198.51.100.5", times=3) == [429] * 3
    await minutes_pass(portal_database, 2)
    assert await tries(portal, "198.51.100.5", right=True) == [201]


async def test_guesses_from_many_addresses_stop_and_a_known_place_still_enters(
    portal: ServiceClient, portal_database: str
) -> None:
    with reached_from(portal, "198.51.100.9") as known_browser:
        assert (await known_browser.post("/api/sessions", json=BUYER)).status_code == 201
        await tries(portal, "203.0.113.1")
        await execute(
            portal_database,
            "INSERT INTO sign_in_attempts (account, address)"
            " SELECT account, n::text::bytea FROM sign_in_attempts, generate_series(1, 49) AS n",
        )
        assert await tries(portal, "203.0.113.200") == [429]
        assert await tries(portal, "203.0.113.201", right=True) == [429]
        assert await tries(portal, "198.51.100.9", right=True) == [201]
    with reached_from(portal, "192.0.2.77") as elsewhere:
        elsewhere.cookies.set("browser", known_browser.cookies["browser"])
        assert (await elsewhere.post("/api/sessions", json=BUYER)).status_code == 201


async def test_a_browser_that_signed_in_before_is_never_refused_the_right_password(
    portal: ServiceClient,
) -> None:
    with reached_from(portal, "198.51.100.9") as browser:
        assert (await browser.post("/api/sessions", json=BUYER)).status_code == 201
        await tries(portal, "198.51.100.9", times=8)  # another visitor at the same address
        for n in range(8):
            wrong = BUYER | {"password": f"guess number {n}"}
            assert (await browser.post("/api/sessions", json=wrong)).status_code == 401
        assert (await browser.post("/api/sessions", json=BUYER)).status_code == 201
    assert await tries(portal, "198.51.100.9", right=True) == [201]


async def test_a_browser_is_known_for_the_accounts_it_signed_in_to_only(
    portal: ServiceClient, add_user: AddUser
) -> None:
    await add_user("seller")
    with reached_from(portal, "198.51.100.9") as browser:
        assert (
            await browser.post("/api/sessions", json=BUYER | {"email": "seller@example.com"})
        ).status_code == 201
        guess = BUYER | {"password": "wrong horse battery"}
        answers = [await browser.post("/api/sessions", json=guess) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429]
        assert (await browser.post("/api/sessions", json=BUYER)).status_code == 429


async def test_a_new_password_makes_every_other_browser_unknown(
    portal: ServiceClient, transactions: Store, buyer: User
) -> None:
    with (
        reached_from(portal, "198.51.100.9") as here,
        reached_from(portal, "198.51.100.5") as there,
    ):
        for browser in (here, there):
            assert (await browser.post("/api/sessions", json=BUYER)).status_code == 201
        await transactions.run(
            lambda uow: change_password(
                uow,
                act=Act(buyer.tenant_id, "test", uuid7(), utc_now()),
                user_id=buyer.id,
                password_hash=buyer.password_hash,
                session_id=None,
                browser=here.cookies["browser"],
            )
        )
        for browser, last in ((here, 201), (there, 429)):
            for _ in range(5):
                await browser.post("/api/sessions", json=BUYER | {"password": "wrong password"})
            assert (await browser.post("/api/sessions", json=BUYER)).status_code == last


async def test_one_party_has_a_whole_network_of_addresses_in_ipv6(portal: ServiceClient) -> None:
    for n in range(5):
        assert await tries(portal, f"2001:db8:1:1::{n}") == [401]
    assert await tries(portal, "2001:db8:1:1:ffff::1", right=True) == [429]
    assert await tries(portal, "2001:db8:1:2::1", right=True) == [201]


async def test_an_address_that_tries_many_accounts_is_locked(
    portal: ServiceClient, portal_database: str
) -> None:
    await portal.post("/api/sessions", json=BUYER | {"email": "nobody@example.com"})
    await execute(
        portal_database,
        "INSERT INTO sign_in_attempts (account, address)"
        " SELECT n::text::bytea, address FROM sign_in_attempts, generate_series(1, 50) AS n",
    )
    assert (await portal.post("/api/sessions", json=BUYER)).status_code == 429


async def test_a_success_forgets_the_failures(portal: ServiceClient) -> None:
    for _ in range(3):
        for _ in range(ATTEMPTS.here - 1):
            await portal.post("/api/sessions", json=BUYER | {"password": "wrong horse battery"})
        assert (await portal.post("/api/sessions", json=BUYER)).status_code == 201


async def test_a_page_elsewhere_cannot_sign_anybody_in(portal: ServiceClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = await portal.post("/api/sessions", json=BUYER, headers=headers)
    assert answer.status_code == 403


async def test_an_expired_session_is_nobodys(portal: ServiceClient, portal_database: str) -> None:
    await signed_in(portal, "buyer@example.com")
    await execute(portal_database, "UPDATE sessions SET expires_at = now()")
    assert (await portal.get("/api/sessions")).status_code == 401


async def test_a_session_unused_for_hours_is_nobodys(
    portal: ServiceClient, portal_database: str
) -> None:
    await signed_in(portal, "buyer@example.com")
    await execute(portal_database, "UPDATE sessions SET last_seen_at = now() - interval '119 min'")
    assert (await portal.get("/api/sessions")).status_code == 200
    [row] = await execute(portal_database, "SELECT now() - last_seen_at AS unused FROM sessions")
    assert row["unused"].total_seconds() < 60, "use was noted"
    await execute(portal_database, "UPDATE sessions SET last_seen_at = now() - interval '2 hours'")
    assert (await portal.get("/api/sessions")).status_code == 401


async def test_sessions_that_are_over_are_forgotten(
    portal: ServiceClient, portal_database: str, transactions: Store
) -> None:
    await signed_in(portal, "buyer@example.com")
    await transactions.run(lambda uow: uow.sessions.forget_old())
    assert (await portal.get("/api/sessions")).status_code == 200
    await execute(portal_database, "UPDATE sessions SET expires_at = now()")
    await transactions.run(lambda uow: uow.sessions.forget_old())
    assert await execute(portal_database, "SELECT 1 FROM sessions") == []


async def test_signing_out_ends_the_session_for_good(portal: ServiceClient) -> None:
    await signed_in(portal, "buyer@example.com")
    token = portal.cookies["session"]
    assert (await portal.delete("/api/sessions/current")).status_code == 204
    portal.cookies.set("session", token)
    assert (await portal.get("/api/sessions")).status_code == 401


async def test_a_session_elsewhere_can_be_ended_but_not_another_users(
    serve: Serve, add_user: AddUser
) -> None:
    await add_user("seller")
    async with serve() as here, serve() as there, serve() as other:
        await signed_in(there, "buyer@example.com")
        await signed_in(here, "buyer@example.com")
        await signed_in(other, "seller@example.com")
        [foreign] = (await other.get("/api/sessions")).json()["items"]
        assert (await here.delete(f"/api/sessions/{foreign['id']}")).status_code == 404
        items = (await here.get("/api/sessions")).json()["items"]
        [elsewhere] = [item for item in items if not item["is_this_one"]]
        assert (await here.delete(f"/api/sessions/{elsewhere['id']}")).status_code == 204
        assert (await there.get("/api/sessions")).status_code == 401
        assert (await here.get("/api/sessions")).status_code == 200
        assert (await other.get("/api/sessions")).status_code == 200


async def test_a_write_without_the_csrf_token_or_with_another_sessions_is_refused(
    serve: Serve, add_user: AddUser
) -> None:
    await add_user("seller")
    async with serve() as buyer, serve() as seller:
        await signed_in(buyer, "buyer@example.com")
        await signed_in(seller, "seller@example.com")
        for wrong in ("", "0" * 64, seller.headers["X-CSRF-Token"]):
            answer = await buyer.post("/api/token", headers={"X-CSRF-Token": wrong})
            assert (answer.status_code, answer.json()["type"][-4:]) == (403, "csrf")
        assert (await buyer.post("/api/token")).status_code == 200


async def test_neither_token_nor_names_nor_passwords_stand_in_the_database(
    portal: ServiceClient, portal_database: str, buyer: User
) -> None:
    await signed_in(portal, "buyer@example.com")
    secrets = (portal.cookies["session"], buyer.name, buyer.email, PASSWORD)
    for table in ("users", "sessions", "sign_in_attempts", "audits"):
        [row] = await execute(
            portal_database,
            f"SELECT coalesce(string_agg(t::text, ' '), '') AS content FROM {table} t",
        )
        for secret in secrets:
            assert secret not in row["content"]
            assert secret.encode().hex() not in row["content"]


async def test_a_sign_in_is_audited_and_a_failed_one_too(
    portal: ServiceClient, transactions: Store, buyer: User
) -> None:
    await portal.post("/api/sessions", json=BUYER | {"password": "wrong horse battery"})
    await signed_in(portal, "buyer@example.com")
    audits = await transactions.run(lambda uow: uow.audits.page("default", None, 10))
    told = [(each.entry.action, each.entry.result.value, each.entry.actor) for each in audits]
    assert told[:2] == [
        ("user.signed_in", "done", str(buyer.id)),
        ("user.signed_in", "refused", "anonymous"),
    ]
    assert all(each.entry.at <= utc_now() for each in audits)
