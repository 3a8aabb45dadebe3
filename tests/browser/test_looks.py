"""Pages do not shift while they load, fit a phone, and have a title and a description."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Locator, Page, Route, expect

from deploy.demo.market import Market
from services.portal.domain.user import LOCALES
from tests.browser.conftest import Person

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),  # the first test may install the browser, and starts the system
]

AddPerson = Callable[..., Awaitable[Person]]
SignIn = Callable[..., Awaitable[Page]]

PRICE = 4_590_000
EVERYTHING = ("buyer", "seller", "operator", "admin")
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
MOST_SHIFT = 0.05
FONT_SECONDS = 0.7
SHIFTS = """
new PerformanceObserver((list) => {
  for (const shift of list.getEntries()) window.shifted = (window.shifted ?? 0) + shift.value;
}).observe({ type: "layout-shift", buffered: true });
"""


async def late(route: Route) -> None:
    await asyncio.sleep(FONT_SECONDS)
    await route.continue_()


async def speak(context: BrowserContext, page: Page, locale: str) -> None:
    await context.add_cookies([{"name": "locale", "value": locale, "url": page.url}])


@pytest.mark.long
@pytest.mark.parametrize("width", [390, 1350])
async def test_the_page_does_not_shift_when_its_typeface_loads(
    add_person: AddPerson, sign_in: SignIn, width: int
) -> None:
    """A user with all roles has the longest navigation."""
    page = await sign_in(await add_person(*EVERYTHING), viewport={"width": width, "height": 860})
    await page.add_init_script(SHIFTS)
    await page.route(re.compile("/static/fonts/"), late)
    for locale in LOCALES:
        await speak(page.context, page, locale)
        for path in ("/kpis", "/account"):
            await page.goto(path)
            before = await height(page.locator(".masthead"))
            assert await page.evaluate("document.fonts.ready.then(() => document.fonts.size)")
            await page.evaluate("new Promise(requestAnimationFrame)")
            assert await height(page.locator(".masthead")) == before, (locale, path)
            shifted = await page.evaluate("window.shifted ?? 0")
            assert shifted <= MOST_SHIFT, (locale, path, shifted)


async def height(thing: Locator) -> float:
    box = await thing.bounding_box()
    assert box is not None
    return box["height"]


@pytest.mark.parametrize("script", [True, False])
async def test_the_navigation_of_a_phone_begins_where_the_current_page_is(
    add_person: AddPerson, sign_in: SignIn, script: bool
) -> None:
    page = await sign_in(await add_person(*EVERYTHING), **PHONE, java_script_enabled=script)
    for path in ("/", "/kpis", "/users"):
        await page.goto(path)
        nav, current = page.locator(".nav"), page.locator(".nav [aria-current]")
        await expect(current).to_be_in_viewport(ratio=0.9)
        assert await nav.evaluate("nav => nav.scrollWidth > nav.clientWidth")
        assert await nav.evaluate("nav => getComputedStyle(nav).backgroundImage") != "none"


async def test_each_page_has_a_title_and_a_description_of_its_own(
    market: Market, add_person: AddPerson, sign_in: SignIn
) -> None:
    """Titles distinguish the tabs of one person, and each page describes itself in a sentence."""
    person = await add_person(*EVERYTHING)
    page = await sign_in(person)
    vehicle = await market.list_vehicle(price_cents=PRICE, seller_id=str(person.id))
    links = page.locator(".nav a")
    paths = [await link.get_attribute("href") or "" for link in await links.all()]
    titles = {}
    for path in (*paths, f"/vehicles/{vehicle}", f"/sell/{vehicle}", "/sell/new", "/account"):
        await page.goto(path)
        titles[path] = await page.title()
        about = await page.locator("meta[name=description]").get_attribute("content")
        assert about is not None
        assert len(about) > 50, path
    assert len(set(titles.values())) == len(titles), titles
