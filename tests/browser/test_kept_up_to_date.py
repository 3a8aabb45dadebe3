"""Pages keep updating themselves after faults, and stop when the user loses the permission."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from playwright.async_api import FilePayload, Page, Route, expect

from deploy.demo.market import Market
from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from services.portal.application.change_roles import change_roles
from services.portal.domain.audit import Act
from services.portal.infrastructure.settings import PortalSettings
from services.portal.main import connect
from tests.browser.conftest import Person
from tests.browser.test_operations import HEADER, vehicle_row
from tests.e2e.system import System
from tests.fixtures.polling import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),  # the first test may install the browser, and starts the system
]

AddPerson = Callable[..., Awaitable[Person]]
SignIn = Callable[..., Awaitable[Page]]

PRICE = 2_190_000
NOT_NOW = "This page is not kept up to date just now. It tries again by itself."
NO_MORE = "This page is no longer kept up to date: you may not see it any more. Load it again."
GATEWAY = "<html><body><h1>502 Bad Gateway</h1></body></html>"
JSON = '{"type":"urn:mercado-veiculo:problem:unavailable","title":"Service Unavailable"}'


@dataclass
class Trouble:
    """`Trouble` answers some addresses with errors, as a proxy does while the portal restarts."""

    status: int
    body: str
    is_over: bool = False
    refused: list[str] = field(default_factory=list)

    async def answer(self, route: Route) -> None:
        if self.is_over:
            await route.continue_()
        else:
            self.refused.append(route.request.url)
            await route.fulfill(status=self.status, body=self.body)

    async def met(self, times: int) -> None:
        async def often_enough() -> bool:
            return len(self.refused) >= times

        await eventually(often_enough, 20)


TROUBLES = [
    pytest.param(502, GATEWAY, id="502"),
    pytest.param(503, JSON, id="503", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("status", "body"), TROUBLES)
async def test_an_import_goes_on_being_shown_after_refused_polls(
    add_person: AddPerson, sign_in: SignIn, status: int, body: str
) -> None:
    page, trouble = await sign_in(await add_person("seller")), Trouble(status, body)
    await page.route(re.compile("/progress$"), trouble.answer)
    rows = "\n".join([HEADER, *(vehicle_row(number) for number in range(3))])
    await page.goto("/imports")
    file = FilePayload(name="vehicles.csv", mimeType="text/csv", buffer=rows.encode())
    await page.get_by_label("A CSV file").set_input_files(file)
    await page.get_by_role("button", name="Check the file").click()
    await page.get_by_role("button", name="on the market").click()
    await trouble.met(2)
    await expect(page.get_by_text(NOT_NOW)).to_be_visible()
    await expect(page.locator("#progress")).to_contain_text("of 3 rows")
    trouble.is_over = True
    await expect(page.get_by_text("3 vehicles are on the market.")).to_be_visible()
    await expect(page.get_by_text(NOT_NOW)).to_be_hidden()


@pytest.mark.long
@pytest.mark.parametrize(("status", "body"), TROUBLES)
@pytest.mark.parametrize("place", ["/map", "/operations"])
async def test_a_page_of_figures_stays_as_it_is_while_its_polls_are_refused(
    add_person: AddPerson, sign_in: SignIn, place: str, status: int, body: str
) -> None:
    page, trouble = await sign_in(await add_person("operator")), Trouble(status, body)
    await page.route(re.compile("/live"), trouble.answer)
    await page.goto(place)
    await expect(page.locator(".live").first).to_be_visible()
    await trouble.met(2)
    await expect(page.get_by_text(NOT_NOW)).to_be_visible()
    await expect(page.locator(".live").first).to_be_hidden()
    await expect(page.locator("[data-kept]")).to_contain_text("Orders")
    await expect(page.locator("[data-kept]")).not_to_contain_text("Gateway")
    await expect(page.locator("[data-kept]")).not_to_contain_text("urn:")
    trouble.is_over = True
    await expect(page.get_by_text(NOT_NOW)).to_be_hidden()
    await expect(page.locator(".live").first).to_be_visible()


@pytest.mark.parametrize(("status", "body"), TROUBLES)
async def test_a_purchase_is_followed_again_after_its_stream_was_refused(
    market: Market, add_person: AddPerson, sign_in: SignIn, status: int, body: str
) -> None:
    page, order_id = await buying(market, add_person, sign_in)
    trouble = Trouble(status, body)
    await page.route(re.compile("/(events|panel)"), trouble.answer)
    # A page that becomes visible again opens its stream again.
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await trouble.met(3)
    await expect(page.get_by_text(NOT_NOW)).to_be_visible()
    await expect(page.locator(".live")).to_be_hidden()
    await market.pay(await market.payment_code(order_id))
    await market.reach(order_id, "COMPLETED")
    trouble.is_over = True
    await stands(page, "Ready for pick-up")
    await expect(page.locator("#timeline")).to_contain_text("Vehicle sold")
    await expect(page.get_by_text(NOT_NOW)).to_be_hidden()
    await expect(page.locator(".live")).to_be_visible()


@pytest.mark.long
async def test_pages_go_on_by_themselves_after_the_portal_was_started_again(
    system: System, market: Market, add_person: AddPerson, sign_in: SignIn
) -> None:
    page, order_id = await buying(market, add_person, sign_in)
    operations = await sign_in(await add_person("operator"))
    await operations.goto("/operations")
    await system.aside(lambda: system.kill("portal"))
    for each in (page, operations):
        await expect(each.get_by_text(NOT_NOW)).to_be_visible()
    await market.pay(await market.payment_code(order_id))
    await market.reach(order_id, "COMPLETED")
    await system.aside(lambda: system.start_again("portal"))
    await stands(page, "Ready for pick-up")
    for each in (page, operations):
        await expect(each.get_by_text(NOT_NOW)).to_be_hidden()


@pytest.mark.long
async def test_a_purchase_that_is_signed_out_elsewhere_is_left_for_the_sign_in_page(
    market: Market, add_person: AddPerson, sign_in: SignIn
) -> None:
    page, order_id = await buying(market, add_person, sign_in)
    other = await page.context.new_page()
    await other.goto("/account")
    await other.get_by_role("button", name="Sign out").click()
    await expect(page).to_have_url(re.compile(f"/sign-in\\?next=/purchases/{order_id}$"))


async def test_a_user_who_loses_the_role_is_told_that_the_page_follows_no_longer(
    market: Market, add_person: AddPerson, sign_in: SignIn, settings: PortalSettings
) -> None:
    operator = await add_person("operator")
    vehicle = await market.list_vehicle(price_cents=PRICE)
    customer = await market.register_customer(credit_limit_cents=PRICE)
    order_id = await market.buy(customer, vehicle, PRICE)
    await market.reach(order_id, "AWAITING_PAYMENT")
    page = await sign_in(operator)
    figures = await page.context.new_page()
    await figures.goto("/map")
    await page.goto(f"/purchases/{order_id}")
    await expect(page.locator("#panel")).to_contain_text("Waiting for the buyer to pay.")
    transactions = connect(settings)
    try:
        await transactions.run(
            lambda uow: change_roles(
                uow,
                act=Act(market.tenant, "test", uuid7(), utc_now()),
                user_id=operator.id,
                roles=["seller"],
            )
        )
    finally:
        await transactions.engine.dispose()
    for each in (page, figures):
        await expect(each.get_by_text(NO_MORE)).to_be_visible()
        await expect(each.locator(".live")).to_be_hidden()
    await market.pay(await market.payment_code(order_id))
    await market.reach(order_id, "COMPLETED")
    await expect(page.locator("#timeline")).not_to_contain_text("Vehicle sold")


async def buying(market: Market, add_person: AddPerson, sign_in: SignIn) -> tuple[Page, UUID]:
    """Return a buyer's page that waits for the payment, and the purchase."""
    vehicle = await market.list_vehicle(price_cents=PRICE)
    page = await sign_in(await add_person("buyer"))
    await page.goto(f"/vehicles/{vehicle}")
    await page.get_by_role("button", name="Buy for").click()
    await stands(page, "Awaiting payment")
    await expect(page.locator("#timeline")).to_contain_text("Vehicle reserved")
    return page, UUID(page.url.rpartition("/")[2])


async def stands(page: Page, state: str) -> None:
    heading = page.locator("#panel").get_by_role("heading", name=state)
    await expect(heading).to_be_visible(timeout=20_000)
