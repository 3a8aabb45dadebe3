"""Each role may do only what the access rules allow; the payout of another seller or
tenant does not exist.
"""

from uuid import UUID

import httpx
import pytest

from libs.kernel.ids import uuid7
from tests.integration.payouts.conftest import REFUSED_FOR_GOOD as SELLER
from tests.integration.payouts.conftest import Payouts

CALLS = {
    "request": ("POST", "/payouts"),
    "read": ("GET", "/payouts/order:{id}"),
    "browse": ("GET", "/payouts"),
    "retry": ("POST", "/payouts/order:{id}/retry"),
}
MAY = {
    "seller": {"read", "browse"},
    "operator": {"read", "browse", "retry"},
    "admin": {"request", "read", "browse"},
    "buyer": set(),
    "nobody": set(),
}


async def call(payouts: Payouts, name: str, headers: dict[str, str]) -> httpx.Response:
    """Make the call on a payout that failed, so that all calls are possible."""
    order_id = await payouts.closed(seller_id=SELLER)
    await payouts.bank_turn()
    method, path = CALLS[name]
    body = {"external_id": "bonus-1", "amount_cents": 1} if name == "request" else None
    return await payouts.client.request(
        method, path.format(id=order_id), json=body, headers=headers
    )


@pytest.mark.parametrize("role", MAY)
@pytest.mark.parametrize("name", CALLS)
async def test_each_role_may_do_what_its_row_says(payouts: Payouts, role: str, name: str) -> None:
    answer = await call(payouts, name, payouts.caller(role, subject=str(SELLER)))
    assert (answer.status_code != 403) == (name in MAY[role]), answer.text
    assert answer.is_success == (name in MAY[role]), answer.text


async def test_seller_sees_and_lists_the_own_payouts_only(payouts: Payouts) -> None:
    mine, other = uuid7(), uuid7()
    orders = {seller: await payouts.closed(seller_id=seller) for seller in (mine, other)}
    await payouts.request("of-nobody")
    await payouts.request("bonus-1", seller_id=mine)
    listed = await payouts.client.get("/payouts", headers=payouts.seller(mine))
    assert [item["external_id"] for item in listed.json()["items"]] == [
        "bonus-1",
        f"order:{orders[mine]}",
    ]
    for hidden in (f"order:{orders[other]}", "of-nobody"):
        answer = await payouts.client.get(f"/payouts/{hidden}", headers=payouts.seller(mine))
        assert answer.status_code == 404, answer.text


async def test_cursor_of_an_operator_shows_a_seller_nothing_of_others(payouts: Payouts) -> None:
    mine = uuid7()
    for seller in (mine, uuid7(), uuid7()):
        await payouts.closed(seller_id=seller)
    first = await payouts.client.get("/payouts?limit=1", headers=payouts.operator)
    path = f"/payouts?limit=1&cursor={first.json()['next']}"
    answer = await payouts.client.get(path, headers=payouts.seller(mine))
    assert [UUID(item["seller_id"]) for item in answer.json()["items"]] == [mine]


async def test_seller_without_an_id_of_a_seller_is_refused(payouts: Payouts) -> None:
    for name in ("read", "browse"):
        answer = await call(payouts, name, payouts.caller("seller", subject="ana"))
        assert answer.status_code == 403, answer.text


@pytest.mark.parametrize("name", ["read", "retry"])
async def test_payout_of_another_tenant_does_not_exist(payouts: Payouts, name: str) -> None:
    answer = await call(payouts, name, payouts.caller("operator", tenant="another"))
    assert answer.status_code == 404, answer.text


async def test_payouts_of_another_tenant_are_not_listed(payouts: Payouts) -> None:
    answer = await call(payouts, "browse", payouts.caller("operator", tenant="another"))
    assert answer.json()["items"] == []
