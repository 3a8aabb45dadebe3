"""Events that a relay gave up because they are old are reported, and can be released
or reissued.
"""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.messaging.dead_letters.given_up import GivenUpError, given_up, reissue, release
from libs.messaging.relay.backlog import backlog
from tests.fixtures.polling import eventually
from tests.integration.messaging.relaying import Outlet, outlet

WRITE = """
INSERT INTO outbox (source, id, subject, type, body, created_at)
VALUES ('shop', $1, $2, 'sold.v1', $3, now() - $4::interval)
"""


@pytest.fixture
async def out(database: str, vhost: str) -> AsyncIterator[Outlet]:
    async with outlet(database, vhost) as made:
        yield made


def made_ago(age: timedelta) -> UUID:
    moment = int((datetime.now(UTC) - age).timestamp() * 1000) << 80
    return UUID(int=moment | uuid7().int & (1 << 80) - 1)


async def written(out: Outlet, subject: str, age: timedelta) -> UUID:
    identifier = made_ago(age)
    body = json.dumps({"id": str(identifier), "subject": subject}).encode()
    await out.db.execute(WRITE, identifier, subject, body, age)
    return identifier


async def given_up_by_a_relay(out: Outlet, count: int) -> None:
    async with out.relay():

        async def all_given_up() -> bool:
            return (await backlog(out.db)).given_up == count

        await eventually(all_given_up)


async def test_an_event_that_inboxes_still_know_is_released_under_its_own_id_with_its_followers(
    out: Outlet,
) -> None:
    ids = [await written(out, "one", timedelta(days=age)) for age in (9, 8, 0)]
    other = await written(out, "two", timedelta(days=9))
    await given_up_by_a_relay(out, 2)
    found = await given_up(out.db, utc_now())
    assert [(each.id, each.behind) for each in found] == [(ids[0], 2), (other, 0)]
    assert found[0].error == "older than the inbox remembers: not sent, a person decides"
    assert found[0].forgotten is None
    gone = await release(out.db, [ids[0]], utc_now())
    assert [(each.id, each.new_id) for each in gone] == [(each, None) for each in ids]
    async with out.relay():

        async def only_the_other_waits() -> bool:
            return await out.count() == 1

        await eventually(only_the_other_waits)
    assert [each for each, _ in await out.received()] == [str(each) for each in ids]
    assert [each.id for each in await given_up(out.db, utc_now())] == [other]
    await release(out.db, None, utc_now())
    async with out.relay():
        await out.drained()


async def test_an_event_that_no_inbox_knows_is_reissued_under_a_new_id_with_its_cause(
    out: Outlet,
) -> None:
    ids = [await written(out, "one", timedelta(days=age)) for age in (20, 15, 8, 0)]
    await given_up_by_a_relay(out, 1)
    with pytest.raises(GivenUpError, match=f"{ids[0]} would be refused.*: outbox reissue"):
        await release(out.db, None, utc_now())
    with pytest.raises(GivenUpError, match="--not-handled if you know"):
        await reissue(out.db, [ids[0]], utc_now())
    gone = await reissue(out.db, [ids[0]], utc_now(), not_handled=True)
    assert [each.id for each in gone] == ids
    assert [each.new_id is None for each in gone] == [False, False, True, True]
    async with out.relay():
        await out.drained()
    sent = [(name, json.loads(body)) for name, body in await out.received()]
    assert [UUID(name) for name, _ in sent] == [each.new_id or each.id for each in gone]
    assert [body["id"] for _, body in sent] == [name for name, _ in sent]
    causes = [body.get("causationid") for _, body in sent]
    assert causes == [str(ids[0]), str(ids[1]), None, None]


async def test_nothing_is_reissued_that_an_inbox_still_knows(out: Outlet) -> None:
    known = await written(out, "one", timedelta(days=9))
    await given_up_by_a_relay(out, 1)
    with pytest.raises(GivenUpError, match="outbox release sends it without risk"):
        await reissue(out.db, [known], utc_now(), not_handled=True)
    assert (await backlog(out.db)).given_up == 1


async def test_an_event_that_was_not_given_up_cannot_be_released(out: Outlet) -> None:
    waiting = await written(out, "one", timedelta(0))
    with pytest.raises(GivenUpError, match=f"no given-up event with id {waiting}"):
        await release(out.db, [waiting], utc_now())
