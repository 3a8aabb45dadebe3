"""Takes the screenshots for README.md and docs when SCREENSHOTS=1 is set."""

import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from deploy.checker import verify
from deploy.demo.catalogue import fill
from deploy.demo.market import Market
from tests.browser.conftest import Person
from tests.browser.dead_letters import give_up_next_message
from tests.e2e.quiet import invariants_hold
from tests.e2e.system import System

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(os.environ.get("SCREENSHOTS") != "1", reason="SCREENSHOTS=1 asks for them"),
]

AddPerson = Callable[..., Awaitable[Person]]
SignIn = Callable[..., Awaitable[Page]]

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
PRICE = 4_590_000
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}


async def keep(page: Page, name: str) -> None:
    await page.evaluate("document.fonts.ready")
    FOLDER.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=FOLDER / f"{name}.png")


async def test_buyers_pages_are_kept(
    market: Market, add_person: AddPerson, sign_in: SignIn
) -> None:
    seller, buyer = await add_person("seller"), await add_person("buyer")
    await fill(market, seller.id)
    page = await sign_in(buyer)
    await page.goto("/")
    await keep(page, "storefront")
    vehicle = await market.list_vehicle(price_cents=PRICE, colour="azul", seller_id=str(seller.id))
    await page.goto(f"/vehicles/{vehicle}")
    await page.get_by_role("button", name="Buy for").click()
    await page.get_by_role("button", name="Pay").wait_for()
    await keep(page, "payment-code")
    await page.get_by_role("button", name="Pay").click()
    await page.get_by_text("Changed your mind?").wait_for()
    await expect(page.get_by_role("heading", name="Ready for pick-up")).to_be_visible()
    await page.get_by_text("Changed your mind?").click()
    await page.get_by_role("button", name="Give up this purchase").click()
    await expect(page.locator("#timeline")).to_contain_text("Purchase cancelled")
    await page.locator("#timeline").scroll_into_view_if_needed()
    await keep(page, "way-back")
    phone = await sign_in(buyer, color_scheme="dark", **PHONE)
    await phone.goto("/purchases")
    await phone.get_by_role("link", name="Volkswagen Gol").click()
    await keep(phone, "purchase-on-a-phone")


async def test_operators_pages_are_kept(
    system: System, market: Market, add_person: AddPerson, sign_in: SignIn
) -> None:
    buyer, seller = await add_person("buyer"), await add_person("seller")
    assert buyer.customer_id is not None
    for _ in range(3):
        await _bought(market, buyer, seller)
    await verify.record(await invariants_hold(system), system.installation)
    vehicle = await market.list_vehicle(price_cents=PRICE)
    await system.aside(partial(system.kill, "payments"))
    order_id = await market.buy(buyer.customer_id, vehicle, PRICE)
    await give_up_next_message(system, "payments.on.vehicle.reserved.v1")
    page = await sign_in(await add_person("operator"))
    await page.goto("/map")
    await expect(
        page.get_by_role("link", name="Payments, does not answer, 1 dead letter")
    ).to_be_visible()
    await keep(page, "map")
    await system.aside(partial(system.start_again, "payments"))
    await page.goto("/operations")
    await keep(page, "operations")
    await page.get_by_role("link", name="Vehicle reserved").click()
    await keep(page, "dead-letter")
    await page.get_by_role("button", name="Redrive").click()
    await market.payment_code(order_id)
    await market.cancel(order_id)
    await market.reach(order_id, "CANCELLED")
    night = await sign_in(await add_person("operator"), color_scheme="dark")
    await night.goto("/kpis")
    await keep(night, "kpis")


async def _bought(market: Market, buyer: Person, seller: Person) -> None:
    assert buyer.customer_id is not None
    vehicle = await market.list_vehicle(price_cents=PRICE, seller_id=str(seller.id))
    order_id = await market.buy(buyer.customer_id, vehicle, PRICE)
    await market.pay(await market.payment_code(order_id))
    await market.reach(order_id, "COMPLETED")
    await market.pick_up(order_id)
