"""A purchase's page is shown to its buyer and the staff, offers the possible actions,
and updates its timeline.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.kernel.ids import uuid7
from services.portal.domain.user import User
from services.portal.infrastructure.store.postgres import Store
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import Enter
from tests.integration.portal.pages import Behind, field_of, purchase, submit, vehicle
from tests.integration.portal.purchases import CUSTOMER, WAY_FORWARD, consume, envelope

CODE = "VHAJ-14WY-6FN9-WSAN"


@pytest.fixture
async def buyer(enter: Enter) -> User:
    return await enter("buyer", customer_id=CUSTOMER)


def code_record(**changed: Any) -> dict[str, Any]:
    return {"state": "PENDING", "declines": 0, "tries_left": 1, "reason": None, **changed}


def standing(behind: Behind, order_id: UUID | None = None, **changed: Any) -> UUID:
    """Let orders have a purchase, by default of the buyer and with a new id. Returns its id."""
    order_id = order_id or uuid7()
    body = {"transaction_id": str(order_id), "customer_id": str(CUSTOMER), **changed}
    shown = purchase(**body)
    behind.says(f"orders GET /saga-states/{order_id}", shown)
    behind.says(f"vehicles GET /vehicles/{shown['vehicle_id']}", vehicle(id=shown["vehicle_id"]))
    behind.says(f"payments GET /payment-codes/{CODE}", code_record())
    return order_id


async def test_the_page_shows_the_code_the_steps_and_every_event(
    portal: ServiceClient, behind: Behind, buyer: User, transactions: Store
) -> None:
    order_id = uuid7()
    await consume(transactions, *(
        envelope(order_id, consumed, after_ms=n * 10) for n, consumed in enumerate(WAY_FORWARD[:4])
    ))  # fmt: skip
    standing(behind, order_id, state="AWAITING_PAYMENT", payment_code=CODE)
    page = await portal.get(f"/purchases/{order_id}")
    assert page.status_code == 200
    assert CODE in page.text
    assert "Fiat Strada" in page.text
    assert page.text.count('class="event event--go') == 3
    assert page.text.count('class="event event--wait') == 1
    assert "30 ms" in page.text
    assert page.text.count("step--done") == 4
    assert f'data-events="/purchases/{order_id}/events?seen=4"' in page.text
    # Without scripts a page that waits for its reader is not loaded again.
    assert "<noscript>" not in page.text
    standing(behind, order_id, state="PAID")
    moving = await portal.get(f"/purchases/{order_id}")
    assert '<noscript><meta http-equiv="refresh"' in moving.text


async def test_another_buyers_purchase_does_not_exist(
    portal: ServiceClient, behind: Behind, buyer: User, transactions: Store
) -> None:
    order_id = standing(behind, customer_id=str(uuid7()), state="AWAITING_PAYMENT")
    assert (await portal.get(f"/purchases/{order_id}")).status_code == 404
    assert (await portal.get(f"/purchases/{order_id}/panel")).status_code == 404
    assert (await portal.get(f"/purchases/{order_id}/events")).status_code == 404
    page = await portal.get(f"/purchases/{standing(behind)}")
    for move in ("pay", "pick-up", "cancel"):
        answer = await submit(
            portal, page, f"/purchases/{order_id}/{move}", code=CODE, method="tok_approve"
        )
        assert answer.status_code == 404, move
    assert not [call for call, _ in behind.calls if " POST " in call]


async def test_an_operator_sees_a_purchase_but_cannot_act_as_its_buyer(
    portal: ServiceClient, behind: Behind, enter: Enter
) -> None:
    await enter("operator")
    order_id = standing(behind, state="AWAITING_PAYMENT", payment_code=CODE)
    page = await portal.get(f"/purchases/{order_id}")
    assert CODE in page.text
    assert "/cancel" not in page.text
    assert "/pay" not in page.text


@pytest.mark.parametrize(
    ("state", "move", "call", "typed"),
    [
        ("AWAITING_PAYMENT", "pay", "payments POST /payments", {"code": CODE, "method": "tok_x"}),
        ("COMPLETED", "pick-up", "orders POST /orders/{}/close", {}),
        ("PAID", "cancel", "orders POST /purchases/{}/cancel", {}),
    ],
)
async def test_a_move_is_made_and_audited_and_no_sentence_outlives_it(
    portal: ServiceClient,
    behind: Behind,
    buyer: User,
    transactions: Store,
    state: str,
    move: str,
    call: str,
    typed: dict[str, str],
) -> None:
    order_id = standing(behind, state=state, payment_code=CODE)
    behind.says(call.format(order_id), {}, 202)
    page = await portal.get(f"/purchases/{order_id}")
    answer = await submit(portal, page, f"/purchases/{order_id}/{move}", **typed)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/purchases/{order_id}")
    assert len(behind.sent(call.format(order_id))) == 1
    # The page says what is true now. A sentence about the click would soon contradict it.
    assert 'class="flash' not in (await portal.get(f"/purchases/{order_id}")).text
    newest = (await transactions.run(lambda uow: uow.audits.page("default", None, 1)))[0].entry
    assert (newest.actor, newest.target, newest.result) == (str(buyer.id), str(order_id), "done")


async def test_a_move_without_the_token_of_the_page_does_nothing(
    portal: ServiceClient, behind: Behind, buyer: User
) -> None:
    order_id = standing(behind, state="PAID")
    del portal.headers["X-CSRF-Token"]
    answer = await portal.post(f"/purchases/{order_id}/cancel", data={"csrf_token": "guessed"})
    assert answer.status_code == 403
    assert "Access denied" in answer.text
    assert behind.calls == []


async def test_a_refused_move_says_why(portal: ServiceClient, behind: Behind, buyer: User) -> None:
    order_id = standing(behind, state="PAID")
    closed = "The vehicle was picked up: the purchase cannot be changed."
    behind.refuses(f"orders POST /purchases/{order_id}/cancel", 409, "order-already-closed", "no")
    page = await portal.get(f"/purchases/{order_id}")
    await submit(portal, page, f"/purchases/{order_id}/cancel")
    assert closed in (await portal.get(f"/purchases/{order_id}")).text


async def test_without_orders_the_page_still_shows_what_was_consumed(
    portal: ServiceClient, behind: Behind, buyer: User, transactions: Store
) -> None:
    order_id = uuid7()
    await consume(transactions, *(envelope(order_id, consumed) for consumed in WAY_FORWARD[:3]))
    page = await portal.get(f"/purchases/{order_id}")
    assert page.status_code == 200
    assert "The service orders is not answering" in page.text
    assert "Vehicle reserved" in page.text


async def test_a_payment_under_way_cannot_be_sent_again(
    portal: ServiceClient, behind: Behind, buyer: User
) -> None:
    order_id = standing(behind, state="AWAITING_PAYMENT", payment_code=CODE)
    behind.says(f"payments GET /payment-codes/{CODE}", code_record(state="PROCESSING"))
    page = await portal.get(f"/purchases/{order_id}/panel")
    assert "Your payment is being processed" in page.text
    assert "/pay" not in page.text
    assert "every 1s" in page.text


async def test_the_stream_draws_the_timeline_with_what_is_new_and_ends(
    portal: ServiceClient, behind: Behind, buyer: User, transactions: Store
) -> None:
    order_id = standing(behind, state="CLOSED")
    await consume(transactions, *(envelope(order_id, consumed) for consumed in WAY_FORWARD))
    answer = await portal.get(f"/purchases/{order_id}/events?seen=8")
    events = [each for each in answer.text.replace("\r\n", "\n").split("\n\n") if "event: " in each]
    assert "event: timeline" in events[0]
    assert events[0].count("<li") == len(WAY_FORWARD)
    assert events[0].count("event--new") == 1
    assert events[-1].startswith("event: finished")


async def test_the_list_names_vehicles_and_survives_without_them(
    portal: ServiceClient, behind: Behind, buyer: User
) -> None:
    bought = purchase(customer_id=str(CUSTOMER), state="COMPLETED")
    behind.says("orders GET /purchases", {"items": [bought], "next": None})
    nameless = await portal.get("/purchases")
    assert "The service vehicles is not answering" in nameless.text
    assert f'href="/purchases/{bought["transaction_id"]}">A vehicle</a>' in nameless.text
    behind.says(f"vehicles GET /vehicles/{bought['vehicle_id']}", vehicle(id=bought["vehicle_id"]))
    page = await portal.get("/purchases")
    assert "Fiat Strada, 2022" in page.text
    assert "Ready for pick-up" in page.text
    behind.down("orders")
    assert "The service orders is not answering" in (await portal.get("/purchases")).text


@pytest.mark.parametrize(
    ("state", "turn"),
    [
        ("AWAITING_PAYMENT", "Your turn: pay with the code."),
        ("COMPLETED", "Your turn: pick the vehicle up."),
        ("PAID", "Ours: it goes on by itself."),
        ("FAILED", "–"),
    ],
)
async def test_the_list_says_when_and_whose_turn_it_is(
    portal: ServiceClient, behind: Behind, buyer: User, state: str, turn: str
) -> None:
    bought = purchase(state=state, requested_at="2026-11-26T10:00:00+00:00")
    behind.says("orders GET /purchases", {"items": [bought], "next": None})
    page = await portal.get("/purchases")
    assert 'datetime="2026-11-26T10:00:00' in page.text
    assert turn in page.text


async def test_the_page_says_before_paying_what_a_declined_card_means(
    portal: ServiceClient, behind: Behind, buyer: User
) -> None:
    order_id = standing(behind, state="AWAITING_PAYMENT", payment_code=CODE)
    once = await portal.get(f"/purchases/{order_id}")
    assert "If this card is declined, the purchase ends and nothing is charged." in once.text
    record = code_record(declines=1, tries_left=2, reason="card_declined")
    behind.says(f"payments GET /payment-codes/{CODE}", record)
    page = await portal.get(f"/purchases/{order_id}")
    assert "The card was declined. Nothing was charged. Try another card." in page.text
    assert "you can try another one: 2 tries are left." in page.text


async def test_the_same_card_again_after_it_was_declined_is_another_try(
    portal: ServiceClient, behind: Behind, buyer: User
) -> None:
    order_id = standing(behind, state="AWAITING_PAYMENT", payment_code=CODE)
    behind.says("payments POST /payments", {}, 202)
    for declines in (0, 0, 1):
        record = code_record(declines=declines, tries_left=3 - declines, reason="card_declined")
        behind.says(f"payments GET /payment-codes/{CODE}", record)
        page = await portal.get(f"/purchases/{order_id}")
        typed = {"code": CODE, "method": "tok_x", "declines": field_of(page, "declines")}
        await submit(portal, page, f"/purchases/{order_id}/pay", **typed)
    keys = [each.headers["Idempotency-Key"] for each in behind.sent("payments POST /payments")]
    assert keys[0] == keys[1] != keys[2]


async def test_the_payment_code_counts_down_and_can_be_copied(
    portal: ServiceClient, behind: Behind, buyer: User
) -> None:
    ends = datetime.now(UTC) + timedelta(minutes=10)
    order_id = standing(
        behind,
        state="AWAITING_PAYMENT",
        payment_code=CODE,
        payment_code_expires_at=ends.isoformat(),
    )
    page = await portal.get(f"/purchases/{order_id}")
    [seconds] = re.findall(r'data-seconds="(\d+)"', page.text)
    assert 590 <= int(seconds) <= 600
    assert f'data-copy="{CODE}"' in page.text


async def test_a_tab_is_named_after_its_purchase_and_no_id_stands_on_the_page(
    portal: ServiceClient, behind: Behind, buyer: User
) -> None:
    order_id = standing(behind, state="PAID")
    page = await portal.get(f"/purchases/{order_id}")
    assert "<title>Purchase: Fiat Strada" in page.text
    seen = re.sub(r"<[^>]*>", " ", page.text)
    assert str(order_id) not in seen
