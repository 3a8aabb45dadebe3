"""Operators redrive dead letters and use the map. Sellers import a file of vehicles."""

import re
from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import FilePayload, Page, expect
from validate_docbr import RENAVAM

from deploy.checker import verify
from deploy.demo.market import Market, random_chassis_number, random_plate
from tests.browser.conftest import Person
from tests.browser.dead_letters import give_up_next_message
from tests.e2e.quiet import invariants_hold
from tests.e2e.system import System

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),  # the first test may install the browser, and starts the system
]

AddPerson = Callable[..., Awaitable[Person]]
SignIn = Callable[..., Awaitable[Page]]

PRICE = 2_190_000
QUEUE = "payments.on.vehicle.reserved.v1"
HEADER = "make,model,year,colour,price_cents,plate,chassis_number,renavam"


async def test_an_operator_redrives_a_dead_letter_and_the_purchase_goes_on(
    system: System,
    market: Market,
    add_person: AddPerson,
    sign_in: SignIn,
) -> None:
    vehicle = await market.list_vehicle(price_cents=PRICE)
    customer = await market.register_customer(credit_limit_cents=PRICE)
    await system.aside(lambda: system.kill("payments"))
    order_id = await market.buy(customer, vehicle, PRICE)
    await give_up_next_message(system, QUEUE)
    await system.aside(lambda: system.start_again("payments"))
    page = await sign_in(await add_person("operator"))
    await page.goto("/operations")
    letter = page.get_by_role("row", name=re.compile("vehicle.reserved.v1"))
    await expect(
        letter.get_by_role("link", name="Volkswagen")
    ).to_be_visible()  # the link leads to the purchase
    await letter.get_by_role("link", name="Vehicle reserved").click()
    await expect(page.get_by_role("group", name="Message")).to_contain_text(str(order_id))
    await page.get_by_role("button", name="Discard for good").click()  # the box is not ticked
    await expect(page.get_by_role("heading", name="Vehicle reserved")).to_be_visible()
    await page.get_by_role("button", name="Redrive").click()
    await expect(page.get_by_role("status").first).to_contain_text("has not come back")
    await expect(page.get_by_text("No dead letters")).to_be_visible()
    await market.pay(await market.payment_code(order_id))
    await market.reach(order_id, "COMPLETED")
    await page.goto("/audits")
    done = page.get_by_role("row", name=re.compile("Dead letter redriven.*done"))
    await expect(done.first).to_contain_text(QUEUE)
    await verify.record(await invariants_hold(system), system.installation)
    await page.goto("/operations")
    await expect(page.get_by_text("all hold")).to_be_visible()


async def test_the_map_shows_every_service_and_leads_to_its_table(
    add_person: AddPerson, sign_in: SignIn
) -> None:
    page = await sign_in(await add_person("operator"))
    await page.goto("/map")
    plan = page.get_by_role("group", name="Drawing of the choreography")
    for service in ("Orders", "Customers", "Vehicles", "Payments", "Payouts"):
        await expect(plan.get_by_role("link", name=service, exact=True)).to_be_visible()
    edge = plan.get_by_role("link", name=re.compile("^Orders → Customers: Order confirmed"))
    await edge.focus()
    async with page.expect_response(lambda response: response.url.endswith("/map/live")):
        pass
    await expect(edge).to_be_focused()  # a refresh keeps the keyboard focus
    await page.keyboard.press("Enter")
    await expect(page.locator("tr:target")).to_contain_text("order.confirmed.v1")


async def test_a_seller_imports_a_file_corrects_it_and_nothing_is_listed_twice(
    add_person: AddPerson, sign_in: SignIn
) -> None:
    rows = [vehicle_row(number) for number in range(12)]
    broken = rows[7].replace(",2020,", ",soon,")
    page = await sign_in(await add_person("seller"))
    await _import(page, [*rows[:7], broken, *rows[8:]])
    await expect(page.get_by_text("11 vehicles are on the market.")).to_be_visible()
    errors = page.get_by_role("group", name="1 row was not imported")
    await expect(errors.get_by_role("row", name=re.compile("^9 Year"))).to_be_visible()
    await _import(page, rows)
    await expect(page.get_by_text("12 vehicles are on the market.")).to_be_visible()
    await page.goto("/sell")
    await expect(page.get_by_role("heading", name="Fiat Uno")).to_have_count(12)


async def _import(page: Page, rows: list[str]) -> None:
    content = "\n".join([HEADER, *rows]).encode()
    await page.goto("/imports")
    file = FilePayload(name="vehicles.csv", mimeType="text/csv", buffer=content)
    await page.get_by_label("A CSV file").set_input_files(file)
    await page.get_by_role("button", name="Check the file").click()
    await page.get_by_role("button", name="on the market").click()


def vehicle_row(number: int) -> str:
    papers = f"{random_plate()},{random_chassis_number()},{RENAVAM().generate()}"
    return f"Fiat,Uno,2020,branco,{PRICE + number},{papers}"
