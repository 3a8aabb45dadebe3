"""The pages show each tenant's own dead letters and offer the actions of the command
line, with an audit.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from libs.kernel.ids import uuid7
from libs.messaging import names
from libs.messaging.dead_letters.copies import HEADER_REFUSED_AT
from services.portal.infrastructure.store.postgres import Store
from tests.fixtures.polling import eventually
from tests.fixtures.servers import RabbitMQServer
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import AddUser, Serve, signed_in
from tests.integration.portal.purchases import buy, consume, envelope

STEP = "vehicles.on.credit.reserved.v1"
VIEW = "portal.on.credit.reserved.v1"


@pytest.fixture
async def channel(market_broker: str) -> AsyncIterator[AbstractChannel]:
    async with await aio_pika.connect(market_broker) as connection:
        yield await connection.channel()


@pytest.fixture
async def desk(
    market_broker: str, rabbitmq_server: RabbitMQServer, serve: Serve, add_user: AddUser
) -> AsyncIterator[ServiceClient]:
    """Yield the portal with an operator signed in."""
    place = urlsplit(rabbitmq_server.management_url)
    addresses = {
        "rabbitmq_operator_url": market_broker,
        "rabbitmq_management_url": place.geturl(),
    }
    async with serve(**addresses) as client:
        await add_user("operator")
        await signed_in(client, "operator@example.com")
        yield client


async def refused(
    channel: AbstractChannel,
    queue: str,
    *,
    tenant: str = "default",
    event_id: str = "",
    subject: str = "s-1",
    headers: dict[str, datetime] | None = None,
) -> str:
    """Put a message among the dead letters, and return its id."""
    event_id, service = event_id or str(uuid7()), queue.partition(".")[0]
    body = {"id": event_id, "type": "credit.reserved.v1", "subject": subject, "tenantid": tenant}
    exchange = await channel.get_exchange(names.dead_letter_exchange(service))
    named: dict[str, Any] = {"x-error": "KeyError", "x-origin-queue": queue, **(headers or {})}
    message = aio_pika.Message(json.dumps(body).encode(), headers=named)
    await exchange.publish(message, names.dead_queue(service))
    return event_id


@asynccontextmanager
async def refusing(channel: AbstractChannel, queue: str) -> AsyncIterator[None]:
    """Run a service that gives up every message of this queue at once."""
    service = queue.partition(".")[0]
    exchange = await channel.get_exchange(names.dead_letter_exchange(service))

    async def give_up(message: AbstractIncomingMessage) -> None:
        headers: dict[str, Any] = {"x-error": "KeyError", "x-origin-queue": queue}
        again = aio_pika.Message(message.body, headers=headers)
        await exchange.publish(again, names.dead_queue(service))
        await message.ack()

    waiting = await channel.get_queue(queue)
    tag = await waiting.consume(give_up)
    yield
    await waiting.cancel(tag)


async def come_to_hold(channel: AbstractChannel, **wanted: int) -> None:
    """Wait until queues hold these numbers. Messages only looked at come back a moment later."""
    names = {"step": STEP, "vehicles": "vehicles.dead-letters", "portal": "portal.dead-letters"}

    async def held() -> bool:
        found = {}
        for name in wanted:
            declared = await channel.declare_queue(names[name], passive=True)
            found[name] = declared.declaration_result.message_count or 0
        assert found == wanted
        return True

    await eventually(held)


def page_of(service: str, event_id: str) -> str:
    return f"/operations/dead-letters/{service}?message={event_id}"


async def test_an_operator_sees_the_dead_letters_of_the_own_tenant_only(
    desk: ServiceClient, channel: AbstractChannel
) -> None:
    own = await refused(channel, STEP)
    foreign = await refused(channel, STEP, tenant="elsewhere")
    page = (await desk.get("/operations")).text
    assert own in page
    assert foreign not in page
    assert "KeyError" in (await desk.get(page_of("vehicles", own))).text
    assert (await desk.get(page_of("vehicles", foreign))).status_code == 303
    form = {"message": foreign, "sure": "yes"}
    for action in ("redrive", "discard"):
        await desk.post(f"/operations/dead-letters/vehicles/{action}", data=form)
    await come_to_hold(channel, vehicles=2, step=0)


async def test_a_redrive_goes_back_to_its_queue_and_into_the_audits(
    desk: ServiceClient, channel: AbstractChannel
) -> None:
    event_id = await refused(channel, STEP)
    answer = await desk.post(
        "/operations/dead-letters/vehicles/redrive", data={"message": event_id}
    )
    assert answer.status_code == 303
    await come_to_hold(channel, vehicles=0, step=1)
    audits = (await desk.get("/audits?action=dead_letter.redriven")).text
    assert event_id in audits
    assert STEP in audits


async def test_a_step_of_a_purchase_is_discarded_only_when_that_is_meant(
    desk: ServiceClient, channel: AbstractChannel
) -> None:
    event_id = await refused(channel, STEP)
    place = "/operations/dead-letters/vehicles/discard"
    warned = await desk.post(place, data={"message": event_id})
    assert "Tick the box to confirm." in (await desk.get(warned.headers["location"])).text
    await come_to_hold(channel, vehicles=1)
    await desk.post(place, data={"message": event_id, "sure": "yes"})
    await come_to_hold(channel, vehicles=0)
    assert event_id in (await desk.get("/audits?action=dead_letter.discarded")).text


async def test_discarding_a_view_is_confirmed_too_and_no_purchase_is_said_to_wait_for_it(
    desk: ServiceClient, channel: AbstractChannel
) -> None:
    event_id, place = await refused(channel, VIEW), "/operations/dead-letters/portal/discard"
    assert "No purchase waits for it" in (await desk.get(page_of("portal", event_id))).text
    await desk.post(place, data={"message": event_id})
    await come_to_hold(channel, portal=1)
    await desk.post(place, data={"message": event_id, "sure": "yes"})
    await come_to_hold(channel, portal=0)


@pytest.mark.parametrize(
    ("ended", "says"),
    [
        ("order.failed.v1", "Its purchase has ended already"),
        ("", "the purchase stops here, or something stays reserved for it"),
    ],
)
async def test_the_meaning_of_a_discarded_step_follows_from_the_state_of_its_purchase(
    desk: ServiceClient, channel: AbstractChannel, transactions: Store, ended: str, says: str
) -> None:
    order_id = await buy(transactions, steps=3)
    if ended:
        await consume(transactions, envelope(order_id, (ended, "orders", 9, {"reason": "x"})))
    event_id = await refused(channel, STEP, subject=str(order_id))
    page = (await desk.get(page_of("vehicles", event_id))).text
    assert says in page
    link = f'href="/purchases/{order_id}"'
    assert link in page
    assert link in (await desk.get("/operations")).text


async def test_a_dead_letter_shows_a_readable_time_at_which_it_was_given_up(
    desk: ServiceClient, channel: AbstractChannel
) -> None:
    at = datetime(2026, 11, 26, 16, 41, 4, tzinfo=UTC)
    event_id = await refused(channel, STEP, headers={HEADER_REFUSED_AT: at})
    for page in ("/operations", page_of("vehicles", event_id)):
        text = (await desk.get(page)).text
        assert 'datetime="2026-11-26T16:41:04.000+00:00" data-local>Nov 26, 2026' in text


async def test_a_redrive_that_is_refused_again_says_so(
    desk: ServiceClient, channel: AbstractChannel
) -> None:
    event_id = await refused(channel, STEP)
    async with refusing(channel, STEP):
        page = await desk.post(
            "/operations/dead-letters/vehicles/redrive", data={"message": event_id}
        )
    assert event_id in page.headers["location"]
    assert "tried again, and refused again" in (await desk.get(page.headers["location"])).text
    audits = (await desk.get("/audits?action=dead_letter.redriven")).text
    assert "refused again: yes" in audits


async def test_several_of_a_group_are_redriven_at_once_and_the_others_stay(
    desk: ServiceClient, channel: AbstractChannel
) -> None:
    ids = [await refused(channel, STEP) for _ in range(4)]
    other = await refused(channel, VIEW)
    place = "/operations/dead-letters/redrive"
    group = {"service": "vehicles", "queue": STEP, "error": "KeyError"}
    page = await desk.post(place, data=group)
    assert "Choose at least one message." in (await desk.get(page.headers["location"])).text
    page = await desk.post(place, data=group | {"letter": ids[:2]})
    said = (await desk.get(page.headers["location"])).text
    assert "Sent back to their queues: 2. Refused again: 0." in said
    await come_to_hold(channel, vehicles=2, step=2)
    await desk.post(place, data=group | {"one": ids[2]})
    await desk.post(place, data=group | {"every": "yes"})
    await come_to_hold(channel, vehicles=0, step=4)
    assert other in (await desk.get("/operations")).text
    audits = (await desk.get("/audits?action=dead_letter.redriven")).text
    assert all(each in audits for each in ids)


async def test_a_letter_that_would_come_back_at_once_is_not_redriven_but_reissued_on_request(
    desk: ServiceClient, channel: AbstractChannel
) -> None:
    old = await refused(channel, STEP, event_id="01800000-0000-7000-8000-000000000000")
    assert ">Redrive<" not in (await desk.get("/operations")).text
    place = "/operations/dead-letters/vehicles"
    page = await desk.post(f"{place}/redrive", data={"message": old})
    assert "it would come back at once" in (await desk.get(page.headers["location"])).text
    warned = await desk.post(f"{place}/reissue", data={"message": old})
    assert "Tick the box to confirm." in (await desk.get(warned.headers["location"])).text
    await come_to_hold(channel, vehicles=1, step=0)
    await desk.post(f"{place}/reissue", data={"message": old, "not_handled": "yes"})
    await come_to_hold(channel, vehicles=0, step=1)
    message = await (await channel.get_queue(STEP)).get(no_ack=True)
    assert message is not None
    assert json.loads(message.body)["causationid"] == old
    audits = (await desk.get("/audits?action=dead_letter.reissued")).text
    assert old in audits
    assert str(message.message_id) in audits


async def test_a_missing_dead_letter_is_reported_and_not_audited(
    desk: ServiceClient, channel: AbstractChannel
) -> None:
    event_id = await refused(channel, VIEW)
    place = "/operations/dead-letters/portal/discard"
    form = {"message": event_id, "sure": "yes"}
    await desk.post(place, data=form)
    again = await desk.post(place, data=form)
    assert "no longer among" in (await desk.get(again.headers["location"])).text
    assert (await desk.get("/audits?action=dead_letter.discarded")).text.count(event_id) == 1


async def test_an_unreadable_message_is_shown_as_it_is(
    desk: ServiceClient, channel: AbstractChannel
) -> None:
    exchange = await channel.get_exchange(names.dead_letter_exchange("vehicles"))
    await exchange.publish(aio_pika.Message(b"<script>no event</script>"), STEP)
    listed = (await desk.get("/operations")).text
    link = re.search(r'href="([^"]*)">unreadable', listed)
    assert link is not None
    page = (await desk.get(link[1])).text
    assert "&lt;script&gt;no event" in page


async def test_a_view_that_misses_events_is_shown_with_the_command_that_helps(
    desk: ServiceClient, channel: AbstractChannel
) -> None:
    before = (await desk.get("/operations/live")).text
    assert "topology replay" not in before
    assert "portal.overflow" not in before, "it needs no consumer"
    exchange = await channel.get_exchange(names.dead_letter_exchange("portal"))
    await exchange.publish(aio_pika.Message(b"{}"), VIEW)  # as the broker publishes what it drops

    async def shown() -> bool:  # the management API counts every few seconds
        return (
            "<code>./taskw topology replay portal</code>"
            in (await desk.get("/operations/live")).text
        )

    await eventually(shown)
