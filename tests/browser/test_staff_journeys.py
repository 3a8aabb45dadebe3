"""Operators and admins complete their tasks in each language, on a desktop and on a phone."""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from deploy.checker import periodic
from deploy.demo.market import Market, random_plate
from services.portal.infrastructure.language.i18n import LANGUAGES, translations
from tests.browser.chromium import fits
from tests.browser.conftest import Person
from tests.e2e.system import System

pytestmark = [
    pytest.mark.long,
    pytest.mark.slow,
    pytest.mark.timeout(400),  # the first test may install the browser, and starts the system
]

AddPerson = Callable[..., Awaitable[Person]]
SignIn = Callable[..., Awaitable[Page]]
Say = Callable[..., str]

PRICE = 5_190_000
DESK: dict[str, Any] = {}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
EVERYWHERE = pytest.mark.parametrize(
    ("locale", "screen"),
    [
        pytest.param(locale, screen, id=f"{locale}-{name}")
        for locale in LANGUAGES
        for name, screen in (("desk", DESK), ("phone", PHONE))
    ],
)


async def in_language(page: Page, locale: str) -> Say:
    """Switch the language as a person does. Returns a function that says a text in it."""
    await page.goto(f"/language/{locale}?next=/")
    known = translations(locale)

    def say(text: str, **holes: str) -> str:
        return known.gettext(text) % holes if holes else known.gettext(text)

    return say


@EVERYWHERE
async def test_an_operator_finds_a_purchase_reads_it_and_has_everything_checked(
    locale: str,
    screen: dict[str, Any],
    system: System,
    market: Market,
    add_person: AddPerson,
    sign_in: SignIn,
) -> None:
    plate, email = random_plate(), f"{uuid4().hex}@example.com"
    vehicle = await market.list_vehicle(price_cents=PRICE, model="Saveiro", plate=plate)
    customer = await market.register_customer(
        credit_limit_cents=PRICE, name="Joana Prado", email=email
    )
    order_id = await market.buy(customer, vehicle, PRICE)
    await market.payment_code(order_id)
    page = await sign_in(await add_person("operator", name="Rui Alves"), **screen)
    say = await in_language(page, locale)
    navigation = page.get_by_role("navigation", name=say("Main"))
    await navigation.get_by_role("link", name=say("Purchases")).click()
    for typed in (plate, email):
        await page.get_by_label(say("Search"), exact=True).fill(typed)
        await page.get_by_role("button", name=say("Search")).click()
        row = page.get_by_role("row", name=re.compile("Volkswagen Saveiro"))
        await expect(row).to_have_count(1)
        await expect(row).to_contain_text("J*** P***")
        await fits(page)
    await row.get_by_role("link").click()
    panel = page.locator("#panel")
    await expect(panel).to_contain_text(say("Waiting for the buyer to pay."))
    await expect(panel).to_contain_text("J*** P***")
    await fits(page)
    await navigation.get_by_role("link", name=say("Operations")).click()
    await page.get_by_role("button", name=say("Check now")).click()
    asked = await periodic.asking(system.installation)
    assert asked.tenants == {"default"}
    await periodic.examine(system.installation, asked)
    await expect(page.get_by_text(say("all hold"))).to_be_visible()  # without a reload
    await fits(page)
    await market.cancel(order_id)
    await market.reach(order_id, "CANCELLED")


@EVERYWHERE
async def test_an_admin_defines_a_kpi_looks_after_a_user_and_reads_what_was_done(
    locale: str,
    screen: dict[str, Any],
    add_person: AddPerson,
    sign_in: SignIn,
) -> None:
    seller = await add_person("seller", name=f"Bia {uuid4().hex}")
    page = await sign_in(await add_person("admin", name="Rui Alves"), **screen)
    say = await in_language(page, locale)
    await page.goto("/kpis")
    name = f"Total {uuid4().hex}"
    await page.get_by_role("link", name=say("Define a KPI")).click()
    await page.get_by_label(say("Name")).fill(name)
    question = page.get_by_label(say("Question, as one SELECT"))
    await question.fill("SELECT SUM(amonut) FROM sales")
    await page.get_by_role("button", name=say("Try it")).click()
    await expect(page.locator("#sql_template-error")).to_contain_text("amonut")
    await question.fill("SELECT COALESCE(SUM(amount), 0) + 123456 AS total FROM sales")
    await page.get_by_role("button", name=say("Try it")).click()
    result = page.get_by_role("group", name=say("What it comes to"))
    await expect(result).to_contain_text(re.compile(r"\d[.,]\d{3}[.,]56"))  # cents shown as money
    await fits(page)
    await page.get_by_role("button", name=say("Save")).click()
    await expect(page.get_by_role("heading", name=name)).to_be_visible()
    await fits(page)
    await page.get_by_role("link", name=say("Edit %(name)s", name=name)).click()
    await page.get_by_role("button", name=say("Archive")).click()
    restore = page.get_by_role("button", name=say("Restore %(name)s", name=name))
    await restore.click()
    await expect(page.get_by_role("heading", name=name)).to_be_visible()
    await page.goto("/users")
    await page.get_by_label(say("Name or e-mail")).fill(seller.email)
    await page.get_by_role("button", name=say("Search")).click()
    await page.get_by_role("link", name="Bia").click()
    disable = page.get_by_role("button", name=say("Disable the user"))
    await disable.click()  # the box is not ticked
    await expect(disable).to_be_visible()
    await page.locator("form", has=disable).get_by_role("checkbox").check()
    await disable.click()
    await page.get_by_role("button", name=say("Enable the user")).click()
    await expect(disable).to_be_visible()
    await fits(page)
    await page.goto("/audits")
    await page.get_by_label(say("Object"), exact=True).fill(seller.email)
    await page.get_by_role("button", name=say("Search")).click()
    for done in ("User enabled", "User disabled"):
        row = page.get_by_role("row", name=re.compile(say(done)))
        await expect(row).to_contain_text("Rui Alves")
    await fits(page)
    await row.get_by_role("link", name="Bia").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Bia")
