"""Whole journeys of people, through the pages they see."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest
from playwright.async_api import BrowserContext, Locator, Page, expect
from validate_docbr import CPF

from deploy.local.market import Market
from tests.browser.conftest import Person
from tests.e2e.quiet import invariants_hold
from tests.e2e.system import System

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),  # the first one may install the browser, and starts the system
]

AddPerson = Callable[..., Awaitable[Person]]
SignIn = Callable[..., Awaitable[Page]]
NewBrowser = Callable[..., Awaitable[BrowserContext]]

PRICE = 4_590_000

PANEL_COMES_AGAIN = """() => new Promise((settled) => {
  document.addEventListener("htmx:afterSettle", () => settled(), { once: true });
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
    vehicle = await market.list_vehicle(price_cents=PRICE, colour="azul")
    page = await sign_in(await add_person("buyer"))
    await page.goto("/")
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


async def test_of_two_buyers_of_one_vehicle_one_gets_it_and_the_other_is_told(
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


async def test_somebody_new_registers_gets_credit_from_an_admin_and_buys(
    market: Market, add_person: AddPerson, sign_in: SignIn, new_browser: NewBrowser
) -> None:
    vehicle = await market.list_vehicle(price_cents=PRICE)
    email = f"{uuid4().hex[:12]}@example.com"
    page = await (await new_browser()).new_page()
    await page.goto(f"/register?next=/vehicles/{vehicle}")
    await page.get_by_label("Name").fill("Rui Prado")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill("a long password")
    await page.locator("main").get_by_role("button", name="Register").click()
    await page.get_by_role("link", name="Complete your account").click()
    await page.get_by_label("Phone").fill("+55 11 98765-4321")
    await page.get_by_label("CPF or CNPJ").fill(CPF().generate())
    await page.get_by_role("button", name="Become a customer").click()
    await page.get_by_role("button", name="Buy for").wait_for()

    admin = await sign_in(await add_person("admin"))
    await admin.goto("/users")
    await admin.get_by_role("row", name=re.compile(email)).get_by_role("link").click()
    await admin.get_by_label("Credit limit").fill("much")
    await admin.get_by_role("button", name="Change the limit").click()
    await expect(admin.get_by_text("Write an amount")).to_be_visible()
    await admin.get_by_label("Credit limit").fill("45.900,00")
    await admin.get_by_role("button", name="Change the limit").click()
    await expect(admin.get_by_text("The credit limit was changed.")).to_be_visible()

    await page.get_by_role("button", name="Buy for").click()
    await stands(page, "Awaiting payment")
    await page.get_by_text("Changed your mind?").click()
    await page.get_by_role("button", name="Give up this purchase").click()
    await stands(page, "Cancelled")
