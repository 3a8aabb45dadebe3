"""A new buyer can search, buy and pick up in every language, on a desktop and on a phone."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import BrowserContext, Page, expect
from validate_docbr import CPF

from deploy.demo.market import Market
from services.portal.infrastructure.language import i18n
from services.portal.infrastructure.web import wording
from tests.browser.chromium import fits
from tests.browser.conftest import Person
from tests.e2e.quiet import invariants_hold
from tests.e2e.system import System

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),  # the first test may install the browser, and starts the system
]

AddPerson = Callable[..., Awaitable[Person]]
SignIn = Callable[..., Awaitable[Page]]
NewBrowser = Callable[..., Awaitable[BrowserContext]]

PRICE = 9_890_000
"""This price is above the limit with which a new buyer starts."""
PASSWORD = "a long enough phrase"
BROWSERS = {"en": "en-GB", "pt": "pt-BR", "es": "es-UY"}
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 860}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
USUAL = (("pt", PHONE),)
OTHERS = (("pt", DESK), ("es", PHONE), ("en", DESK), ("es", DESK), ("en", PHONE))


def case(locale: str, screen: dict[str, Any], **more: Any) -> Any:
    return pytest.param(locale, screen, id=f"{locale}-{screen['viewport']['width']}", **more)


@dataclass(frozen=True)
class Visit:
    page: Page
    locale: str

    def text(self, english: str) -> str:
        return i18n.translated(english, self.locale)

    async def opens(self, link: str) -> None:
        await self.page.locator("main").get_by_role("link", name=self.text(link)).click()
        await fits(self.page)

    async def presses(self, button: str) -> None:
        await self.page.locator("main").get_by_role("button", name=self.text(button)).click()

    async def types(self, **fields: str) -> None:
        for name, value in fields.items():
            await self.page.locator(f"main [name={name}]").fill(value)

    async def reads(self, english: str) -> None:
        await expect(self.page.locator("main").get_by_text(self.text(english))).to_be_visible()

    async def stands(self, state: str) -> None:
        heading = self.text(wording.state_name(state))
        panel = self.page.locator("#panel")
        await expect(panel.get_by_role("heading", name=heading)).to_be_visible()
        await fits(self.page)


@pytest.mark.parametrize(
    ("locale", "screen"),
    [
        *(case(*each) for each in USUAL),
        *(case(*each, marks=pytest.mark.long) for each in OTHERS),
    ],
)
async def test_somebody_new_searches_registers_gets_credit_pays_and_picks_up(
    system: System,
    market: Market,
    add_person: AddPerson,
    sign_in: SignIn,
    new_browser: NewBrowser,
    locale: str,
    screen: dict[str, Any],
) -> None:
    number = uuid4().hex[:8]
    vehicle = await market.list_vehicle(price_cents=PRICE, make="Citroën", model=f"C3 x{number}")
    context = await new_browser(locale=BROWSERS[locale], **screen)
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    email = f"{number}@example.com"
    it = Visit(await context.new_page(), locale)

    await finds(it, f"citroen x{number[:6]}")
    await registers(it, email)
    assert it.page.url.endswith(f"/vehicles/{vehicle}"), "the vehicle was lost on the way"
    await becomes_a_customer(it)
    assert it.page.url.endswith(f"/vehicles/{vehicle}")
    await it.presses("Ask for credit")
    await expect(it.page.locator(".notice--wait time")).to_be_visible()
    assert not await it.page.locator("form[action$='/buy']").count()

    admin = await sign_in(await add_person("admin"))
    await admin.goto("/credit-requests")
    asking = admin.get_by_role("listitem").filter(has_text=email)
    await asking.get_by_role("button", name="Grant the limit").click()
    await expect(admin.get_by_text("The new limit counts from now on.")).to_be_visible()

    await it.page.reload()
    await it.page.locator("form[action$='/buy'] button").click()
    await it.stands("AWAITING_PAYMENT")
    purchase = it.page.url
    await copies_the_code(it)
    await finds_the_purchase_in_another_tab(it, context, vehicle, purchase)
    await is_declined(it)
    await pays_though_the_session_has_ended(it, context, email)
    await it.stands("COMPLETED")
    assert it.page.url == purchase
    await it.presses("I have picked it up")
    await it.stands("CLOSED")
    await it.page.goto("/purchases")
    row = it.page.get_by_role("row").filter(has_text=number)
    await expect(row.locator("time")).to_be_visible()
    await expect(row).to_contain_text(it.text(wording.state_name("CLOSED")))
    await fits(it.page)
    await invariants_hold(system)


async def finds(it: Visit, words: str) -> None:
    await it.page.goto("/")
    await fits(it.page)
    more = it.page.locator("main [name=year_min]")
    size = it.page.viewport_size
    assert size is not None
    await expect(more).to_be_visible(visible=size["width"] > 600)
    await it.types(q=words)
    await it.presses("Show vehicles")
    found = it.page.locator("#results").get_by_role("listitem")
    await expect(found).to_have_count(1)
    await expect(it.page.locator("#results")).to_contain_text(re.compile(r"\b1 "))
    await fits(it.page)
    await found.get_by_role("link").click()
    await it.page.locator(".stage--large").wait_for()
    await fits(it.page)


async def registers(it: Visit, email: str) -> None:
    await it.opens("Register in a minute.")
    await it.types(name="Rui Prado", email=email, password=PASSWORD)
    await it.presses("Register")
    await it.page.locator(".stage--large").wait_for()


async def becomes_a_customer(it: Visit) -> None:
    await it.opens("Complete your account")
    await it.types(phone="+55 11 98765-4321", document=CPF().generate())
    await it.presses("Become a customer")
    await it.page.locator("form[action='/account/credit']").wait_for()
    await fits(it.page)


async def copies_the_code(it: Visit) -> None:
    left = it.page.locator("#panel [data-seconds]")
    await expect(left).to_have_text(re.compile(r"^1[0-5]:[0-5]\d$"))
    before = await left.inner_text()
    await expect(left).not_to_have_text(before)
    await it.presses("Copy the code")
    await expect(it.page.locator("#panel [data-copy]")).to_have_text(it.text("Copied"))
    copied = await it.page.evaluate("navigator.clipboard.readText()")
    assert copied == await it.page.locator("#panel .plate__text").inner_text()


async def finds_the_purchase_in_another_tab(
    it: Visit, context: BrowserContext, vehicle: object, purchase: str
) -> None:
    tab = Visit(await context.new_page(), it.locale)
    await tab.page.goto(f"/vehicles/{vehicle}")
    await tab.opens("Go to your purchase")
    await expect(tab.page).to_have_url(purchase)
    await tab.page.close()


async def is_declined(it: Visit) -> None:
    await it.page.locator("[name=method][value=tok_decline]").check()
    await it.page.locator("form[action$='/pay'] button").click()
    await it.reads("Nothing was charged. Try another card.")


async def pays_though_the_session_has_ended(it: Visit, context: BrowserContext, email: str) -> None:
    await context.clear_cookies(name="session")
    await it.page.locator("form[action$='/pay'] button").click()
    await it.reads("Your session has ended. What you filled in is kept: sign in, and go on.")
    await it.types(email=email, password=PASSWORD)
    await it.presses("Sign in")
    await it.presses("Send it now")
