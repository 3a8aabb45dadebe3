"""Users complete their tasks through the pages of the portal."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID, uuid4

import pytest
from playwright.async_api import Locator, Page, expect

from deploy.demo.market import Market
from tests.browser.conftest import Person
from tests.e2e.quiet import invariants_hold
from tests.e2e.system import System

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),  # the first test may install the browser, and starts the system
]

AddPerson = Callable[..., Awaitable[Person]]
SignIn = Callable[..., Awaitable[Page]]

PRICE = 4_590_000

PANEL_COMES_AGAIN = """() => new Promise((settled) => {
  document.addEventListener("htmx:afterSettle", () => settled(), { once: true });
  htmx.trigger("#panel", "moved");
})"""


PANEL_WAS_FETCHED = """() => new Promise((fetched) => {
  document.addEventListener("htmx:afterRequest", () => fetched(), { once: true });
  htmx.trigger("#panel", "moved");
})"""


async def press_buy(page: Page, vehicle_id: UUID) -> None:
    await page.goto(f"/vehicles/{vehicle_id}")
    await page.get_by_role("button", name="Buy for").click()


def happened(page: Page, event: str) -> Locator:
    return page.locator("#timeline .event__name").get_by_text(re.compile(f"^{event}")).first


async def pay(page: Page) -> None:
    await page.get_by_role("button", name="Pay").click()


async def stands(page: Page, state: str) -> None:
    heading = page.locator("#panel").get_by_role("heading", name=state)
    await expect(heading).to_be_visible(timeout=20_000)


async def test_a_buyer_buys_and_picks_up(
    system: System,
    market: Market,
    add_person: AddPerson,
    sign_in: SignIn,
) -> None:
    number = uuid4().hex[:8]
    vehicle = await market.list_vehicle(price_cents=PRICE, model=f"Gol x{number}")
    page = await sign_in(await add_person("buyer"))
    await page.goto(f"/?q=x{number}")
    await page.get_by_role("link", name="Volkswagen Gol").first.wait_for()
    await press_buy(page, vehicle)
    await stands(page, "Awaiting payment")
    await pay(page)
    await stands(page, "Ready for pick-up")
    await page.get_by_role("button", name="I have picked it up").click()
    await stands(page, "Picked up")
    for event in ("Order confirmed", "Vehicle reserved", "Paid", "Vehicle sold", "Picked up"):
        await expect(happened(page, event)).to_be_visible()
    await page.goto("/purchases")
    await expect(page.get_by_role("row", name=re.compile("Gol.*Picked up"))).to_be_visible()
    await invariants_hold(system)


@pytest.mark.parametrize("presses", ["with the mouse", "with the keyboard"])
async def test_a_press_counts_when_the_panel_is_fetched_during_it(
    market: Market, add_person: AddPerson, sign_in: SignIn, presses: str
) -> None:
    page = await sign_in(await add_person("buyer"))
    await press_buy(page, await market.list_vehicle(price_cents=PRICE))
    await stands(page, "Awaiting payment")
    await pay(page)
    await stands(page, "Ready for pick-up")
    button = page.get_by_role("button", name="I have picked it up")
    if presses == "with the mouse":
        await button.hover()
        press, release = page.mouse.down, page.mouse.up
    else:
        await button.focus()
        await page.evaluate(PANEL_COMES_AGAIN)
        await expect(button).to_be_focused()
        press, release = partial(page.keyboard.down, "Space"), partial(page.keyboard.up, "Space")
    await press()
    await page.evaluate(PANEL_WAS_FETCHED)
    await release()
    await stands(page, "Picked up")


async def test_of_two_buyers_of_one_vehicle_one_gets_it_and_the_other_sees_why_not(
    system: System, market: Market, add_person: AddPerson, sign_in: SignIn
) -> None:
    vehicle = await market.list_vehicle(price_cents=PRICE)
    pages = [await sign_in(await add_person("buyer")) for _ in range(2)]
    for page in pages:
        await page.goto(f"/vehicles/{vehicle}")
    await asyncio.gather(*(page.get_by_role("button", name="Buy for").click() for page in pages))
    for page in pages:
        await page.locator("#panel").wait_for()
        heading = page.locator("#panel h2").first
        await expect(heading).to_have_text(re.compile("Awaiting payment|Failed"))
    states = sorted([await page.locator("#panel h2").first.inner_text() for page in pages])
    assert states == ["Awaiting payment", "Failed"]
    (loser,) = [page for page in pages if await page.get_by_text("Failed").count()]
    (winner,) = [page for page in pages if page is not loser]
    await expect(loser.locator("#panel")).to_contain_text("not for sale")
    await pay(winner)
    await stands(winner, "Ready for pick-up")
    await invariants_hold(system)


async def test_a_buyer_gives_up_and_everything_goes_back(
    system: System,
    market: Market,
    add_person: AddPerson,
    sign_in: SignIn,
) -> None:
    vehicle = await market.list_vehicle(price_cents=PRICE)
    page = await sign_in(await add_person("buyer"))
    await press_buy(page, vehicle)
    await stands(page, "Awaiting payment")
    await pay(page)
    await stands(page, "Ready for pick-up")
    await page.get_by_text("Changed your mind?").click()
    await page.evaluate(PANEL_COMES_AGAIN)
    await expect(page.get_by_role("button", name="Give up this purchase")).to_be_visible()
    await page.get_by_role("button", name="Give up this purchase").click()
    await stands(page, "Cancelled")
    for event in ("Refunded", "Vehicle released", "Credit released"):
        await expect(happened(page, event)).to_be_visible()
    await page.goto(f"/vehicles/{vehicle}")
    await expect(page.get_by_role("button", name="Buy for")).to_be_visible()
    await invariants_hold(system)
