"""A new seller can sign up, sell and be paid in each language, on a desktop and on a phone."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import BrowserContext, FilePayload, Locator, Page, expect
from validate_docbr import RENAVAM

from deploy.demo.market import Market, random_chassis_number, random_plate
from services.portal.infrastructure.language import i18n
from tests.browser.chromium import fits
from tests.fixtures.polling import eventually

pytestmark = [
    pytest.mark.long,
    pytest.mark.slow,
    pytest.mark.timeout(400),  # the first test may install the browser, and starts the system
]

NewBrowser = Callable[..., Awaitable[BrowserContext]]

LOOKS: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1280, "height": 860}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
}
TAGS = {"en": "en-GB", "pt": "pt-BR", "es": "es-UY"}
RUNS = [(locale, look) for locale in TAGS for look in LOOKS]


@dataclass
class Seller:
    """A `Seller` reads a page in `locale`."""

    page: Page
    locale: str

    def text(self, english: str) -> str:
        return i18n.translations(self.locale).gettext(english)

    def button(self, english: str) -> Locator:
        return self.page.locator("main").get_by_role("button", name=self.text(english), exact=True)

    def link(self, english: str) -> Locator:
        return self.page.locator("main").get_by_role("link", name=self.text(english)).first

    async def reads(self, english: str) -> None:
        await expect(self.page.locator("main")).to_contain_text(self.text(english))

    async def type(self, **fields: str) -> None:
        for name, text in fields.items():
            await self.page.locator(f"main #{name}").fill(text)

    async def finds_its_way(self) -> None:
        """Check that the page works with a screen reader and needs no sideways scrolling."""
        found = (await Axe().run(self.page)).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"][:160]) for each in found] == []
        await fits(self.page)

    async def wrong(self, name: str) -> str:
        return await self.page.locator(f"#{name}-error").inner_text()


def papers() -> dict[str, str]:
    return {
        "plate": random_plate(),
        "chassis_number": random_chassis_number(),
        "renavam": RENAVAM().generate(),
    }


@pytest.mark.parametrize(("locale", "look"), RUNS)
async def test_a_new_seller_sells_and_is_paid(
    market: Market, new_browser: NewBrowser, locale: str, look: str
) -> None:
    context = await new_browser(**LOOKS[look], locale=TAGS[locale])
    seller = Seller(await context.new_page(), locale)
    await registers(seller)
    await lists_a_vehicle(seller)
    await changes_it_in_two_tabs(seller)
    await imports_a_file_of_excel(seller)
    await sells(seller, market)


async def registers(seller: Seller) -> None:
    page = seller.page
    await page.goto("/register")
    email = f"{uuid4().hex[:12]}@example.com"
    await seller.type(name="Rui Prado", email=email, password="a long password")
    await page.locator("input[name=purpose][value=sell]").check()
    await seller.button("Register").click()
    await page.locator(".masthead form[action='/sign-out']").wait_for()


async def lists_a_vehicle(seller: Seller) -> None:
    page, good = seller.page, papers()
    await page.goto("/sell")
    await seller.link("Sell a vehicle").click()
    wrong = {**good, "plate": "1", "renavam": "12345678901"}
    await seller.type(make="Fiat", model="Uno", year="old", colour="azul", price="x", **wrong)
    await seller.button("Put it on the market").click()
    for name in ("year", "price", "plate", "renavam"):
        assert await seller.wrong(name), name
    await seller.finds_its_way()
    await seller.type(year="2015", price="459,00", **good)
    await seller.button("Put it on the market").click()
    await seller.reads("Is this price right?")
    await seller.finds_its_way()
    await seller.type(price="45.900,00")
    await seller.button("Put it on the market").click()
    await seller.reads("It is on the market.")
    await expect(page.get_by_role("heading", name="Fiat Uno")).to_be_visible()


async def changes_it_in_two_tabs(seller: Seller) -> None:
    page = seller.page
    await page.get_by_role("link", name="Fiat Uno").click()
    await page.wait_for_url(re.compile("/sell/"))
    other = Seller(await page.context.new_page(), seller.locale)
    await other.page.goto(page.url)
    await other.type(colour="preto")
    await other.button("Save").click()
    await other.reads("Saved.")
    await other.page.close()
    await seller.type(price="44.900,00", colour="verde")
    await seller.button("Save").click()
    saved = seller.text("Saved now: %(value)s") % {"value": "preto"}
    await expect(page.locator("#colour-hint")).to_have_text(saved)
    await seller.finds_its_way()
    await seller.button("Save").click()
    await seller.reads("Saved.")
    await expect(page.get_by_text("verde")).to_be_visible()


async def imports_a_file_of_excel(seller: Seller) -> None:
    """Import Windows-1252 with semicolons, empty last columns, an error and an old chassis."""
    page = seller.page
    rows = ["Marca;Modelo;Ano;Cor;Preço;Placa;Chassi;RENAVAM;;"]
    for model, year, price, chassis in (
        ("Palio", "2012", "R$ 21.900,00", ""),
        ("Siena", "MMXII", "31.900", ""),
        ("147", "1979", "18.500,00", f"147A{uuid4().int % 10**7:07}"),
    ):
        one = papers()
        cells = [one["plate"], chassis or one["chassis_number"], one["renavam"]]
        rows.append(";".join(["Fiat", model, year, "cinza-avião", price, *cells, "", ""]))
    content = "".join(f"{row}\r\n" for row in rows).encode("cp1252")
    await page.goto("/imports")
    file = FilePayload(name="veículos.csv", mimeType="text/csv", buffer=content)
    await page.locator("#file").set_input_files(file)
    await seller.button("Check the file").click()
    await seller.reads("Nothing has been put on the market yet.")
    await seller.reads("This is not a year, such as 2021.")
    await expect(page.get_by_text("cinza-avião").first).to_be_visible()
    await seller.finds_its_way()
    await page.locator("form[action$='/begin'] button").click()
    done = i18n.translations(seller.locale).ngettext(
        "%(num)s vehicle is on the market.", "%(num)s vehicles are on the market.", 2
    )
    await expect(page.locator("main")).to_contain_text(done % {"num": 2})
    await page.goto("/sell")
    await expect(page.get_by_role("heading", name="Fiat 147")).to_be_visible()


async def sells(seller: Seller, market: Market) -> None:
    page = seller.page
    await page.goto("/sell")
    place = await page.get_by_role("link", name="Fiat Uno").get_attribute("href")
    vehicle = UUID(str(place).rpartition("/")[2])
    price = 4_490_000
    buyer = await market.register_customer(credit_limit_cents=price)
    order_id = await market.buy(buyer, vehicle, price)
    await market.pay(await market.payment_code(order_id))
    await market.reach(order_id, "COMPLETED")
    await market.pick_up(order_id)
    await market.seller_paid(order_id)
    row = page.get_by_role("row", name=re.compile("Fiat Uno"))

    async def is_paid() -> bool:
        await page.goto("/sales")
        return seller.text("Paid") in await row.inner_text() if await row.count() else False

    await eventually(is_paid)
    await seller.finds_its_way()
    await expect(row).to_contain_text("44")
    await row.get_by_role("link").click()
    await seller.reads("Paid by the buyer")
    await seller.reads("Picked up")
