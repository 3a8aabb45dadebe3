"""Lists are read from a standby if it keeps up, else from the primary."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from libs.runtime import replica
from services.portal.infrastructure.store.postgres import Store
from tests.fixtures.databases import migrated_database_of
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import proxy
from tests.fixtures.services import ServiceClient
from tests.fixtures.standby import Pair, primary_and_standby
from tests.integration.portal.conftest import AddUser, Serve, execute, signed_in
from tests.integration.portal.test_audits import record

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with primary_and_standby() as both:
        yield both


@pytest.fixture(scope="module")
def migrated_database(pair: Pair) -> Iterator[str]:
    with migrated_database_of("portal", pair.primary) as url:
        yield url


@pytest.fixture
def standby(pair: Pair, portal_database: str) -> str:
    """Return the URL of the same database on the standby."""
    database = urlsplit(portal_database).path
    return urlsplit(pair.standby.url)._replace(path=database).geturl()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "LAG_SECONDS", 4.0)
    monkeypatch.setattr(replica, "LOOK_SECONDS", 0.1)


async def actions(portal: ServiceClient) -> set[str]:
    answer = await portal.get("/api/audits", params={"limit": 100})
    assert answer.status_code == 200, answer.text
    return {each["action"] for each in answer.json()["items"]}


async def said(portal: ServiceClient) -> str:
    answer = await portal.get("/ready")
    assert answer.status_code == 200, answer.text
    note: str = answer.json()["checks"]["replica"]
    return note


async def replaying(standby: str, function: str) -> None:
    await execute(standby, f"SELECT pg_wal_replay_{function}()")


async def test_a_list_is_read_from_the_standby_until_that_is_too_far_behind(
    serve: Serve, add_user: AddUser, transactions: Store, standby: str
) -> None:
    await add_user("operator")
    async with serve(database_read_url=standby) as portal:
        await signed_in(portal, "operator@example.com")
        await record(transactions, "first")

        async def follows() -> bool:
            return await said(portal) == "ok" and "first" in await actions(portal)

        await eventually(follows)
        await replaying(standby, "pause")
        try:
            await record(transactions, "second")
            assert "second" not in await actions(portal), "it was not read from the standby"

            async def fell_back() -> bool:
                return "second" in await actions(portal)

            await eventually(fell_back)
            assert (await said(portal)).startswith("ok: the database itself is read from: ")
            assert (await said(portal)).endswith(" s behind")
        finally:
            await replaying(standby, "resume")

        async def follows_again() -> bool:
            return await said(portal) == "ok" and "second" in await actions(portal)

        await eventually(follows_again)


@pytest.mark.parametrize("how", ["gone", "silent"])
async def test_a_list_is_read_from_the_database_itself_when_the_standby_does_not_answer(
    how: str,
    serve: Serve,
    add_user: AddUser,
    transactions: Store,
    standby: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replica, "STATEMENT_SECONDS", 1.0)
    monkeypatch.setattr(replica, "ANSWER_SECONDS", 0.5)
    await add_user("operator")
    async with proxy(standby) as (line, through), serve(database_read_url=through) as portal:
        await signed_in(portal, "operator@example.com")
        await record(transactions, "first")

        async def follows() -> bool:
            return await said(portal) == "ok" and "first" in await actions(portal)

        await eventually(follows)
        if how == "gone":
            await line.stop()
        else:
            line.silence()

        assert "first" in await actions(portal), "a request failed with the standby"

        async def tells() -> bool:
            return "no standby answers" in await said(portal)

        await eventually(tells)
        await record(transactions, "second")
        assert "second" in await actions(portal)


async def test_a_database_that_is_no_standby_is_not_read_from(
    serve: Serve, portal_database: str
) -> None:
    async with serve(database_read_url=portal_database) as portal:
        assert await said(portal) == "ok: the database itself is read from: it is no standby"


def test_a_malformed_url_is_reported_without_its_password(settings: Any) -> None:
    with pytest.raises(ValueError, match="DATABASE_READ_URL: mysql") as told:
        settings(database_read_url="mysql://me:secret@127.0.0.1/portal")
    assert "secret" not in str(told.value)
