"""axe reports no violation on the main pages, in light and dark colours and on a phone."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from deploy.demo.market import Market
from tests.browser.chromium import fits
from tests.browser.conftest import Person

pytestmark = [
    pytest.mark.long,
    pytest.mark.slow,
    pytest.mark.timeout(400),  # the first test may install the browser, and starts the system
]

AddPerson = Callable[..., Awaitable[Person]]
SignIn = Callable[..., Awaitable[Page]]

PUBLIC = ("/", "/sign-in", "/forgot-password", "/reset-password", "/register", "/nowhere")
INSIDE = (
    "/purchases",
    "/all-purchases",
    "/all-purchases?state=stuck",
    "/account",
    "/sell",
    "/operations",
    "/operations?queues=all",
    "/map",
    "/map?views=1",
    "/kpis",
    "/kpis/new",
    "/kpis/monthly_sales/edit",
    "/imports",
    "/audits",
    "/audits/verification",
    "/submissions",
    "/users",
    "/credit-requests",
)
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
}


async def violations(page: Page, path: str) -> list[str]:
    await page.goto(path)
    found = await Axe().run(page)
    return [
        f"{path}: {each['id']}: {each['help']}: {node['html'][:160]}"
        for each in found.response["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("look", LOOKS)
async def test_no_page_has_an_accessibility_violation(
    look: str, market: Market, add_person: AddPerson, sign_in: SignIn, new_browser: Any
) -> None:
    vehicle = await market.list_vehicle(price_cents=1_990_000)
    visitor = await (await new_browser(**LOOKS[look])).new_page()
    found = [each for path in PUBLIC for each in await violations(visitor, path)]
    person = await add_person("buyer", "seller", "operator", "admin")
    page = await sign_in(person, **LOOKS[look])
    order_id = await market.buy(person.customer_id or vehicle, vehicle, 1_990_000)
    await market.reach(order_id, "AWAITING_PAYMENT")
    of_one = (f"/vehicles/{vehicle}", f"/purchases/{order_id}", f"/users/{person.id}")
    for path in (*INSIDE, *of_one):
        found += await violations(page, path)
        await fits(page)
    of_another = await sign_in(await add_person("operator"), **LOOKS[look])
    found += await violations(of_another, f"/purchases/{order_id}")
    await market.cancel(order_id)
    await market.reach(order_id, "CANCELLED")
    assert not found, "\n".join(found)
