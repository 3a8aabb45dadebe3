"""Lighthouse scores are nearly 100 on a phone and on a desktop."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page

from deploy.demo.market import Market
from tests.browser import lighthouse
from tests.browser.conftest import Person
from tests.e2e.system import System

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1800)]

AddPerson = Callable[..., Awaitable[Person]]
SignIn = Callable[..., Awaitable[Page]]

PRICE = 4_590_000
LEAST = 95
TRIES = 6
"""The best try counts, because other work on the machine only lowers a score."""


@pytest.mark.parametrize("phone", [True, False], ids=["phone", "desktop"])
async def test_seven_pages_score_at_least_95_in_all_four_categories(
    system: System, market: Market, add_person: AddPerson, sign_in: SignIn, phone: bool
) -> None:
    if (trouble := await lighthouse.missing()) is not None:
        pytest.skip(trouble)
    person = await add_person("buyer", "operator", "admin")
    page = await sign_in(person)
    vehicle = await market.list_vehicle(price_cents=PRICE)
    order_id = await market.buy(person.customer_id or vehicle, vehicle, PRICE)
    await market.reach(order_id, "AWAITING_PAYMENT")
    portal = system.state.service_url("portal")
    paths = ("/", f"/vehicles/{vehicle}", f"/purchases/{order_id}", "/operations", "/map", "/kpis")
    slowdown = await lighthouse.phone_slowdown(portal) if phone else None
    found = {path: await best(page, portal + path, slowdown) for path in paths}
    await page.context.clear_cookies()
    found["/sign-in"] = await best(page, f"{portal}/sign-in", slowdown)
    await market.cancel(order_id)
    await market.reach(order_id, "CANCELLED")
    print(f"a phone is {slowdown} times slower" if phone else "at a desk", found)
    assert {path: scores for path, scores in found.items() if min(scores.values()) < LEAST} == {}


async def best(page: Page, url: str, slowdown: float | None) -> dict[str, int]:
    scores = dict.fromkeys(lighthouse.CATEGORIES, 0)
    for _ in range(TRIES):
        try:
            found = await lighthouse.scores(page, url, slowdown=slowdown)
        except lighthouse.TraceLost:
            continue
        scores = {name: max(scores[name], score) for name, score in found.items()}
        if min(scores.values()) >= LEAST:
            break
    return scores
