"""When vehicles are handed in again, the answer agrees with what has happened to them since."""

from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from services.portal.domain.user import User
from services.portal.infrastructure.peers.vehicle_market import SOLD
from tests.fixtures.services import ServiceClient
from tests.fixtures.whole_market import WholeMarket, person
from tests.security.things import new_vehicle

pytestmark = pytest.mark.asyncio(loop_scope="module")

COLUMNS = ("make", "model", "year", "colour", "price_cents", "plate", "chassis_number", "renavam")


class Seller:
    """A `Seller` hands in files in the portal."""

    def __init__(self, market: WholeMarket, user: User, browser: ServiceClient) -> None:
        self.market, self.user, self.browser = market, user, browser

    def row(self) -> str:
        vehicle = new_vehicle(self.user.id)
        return ",".join(str(vehicle[name]) for name in COLUMNS)

    async def imports(self, *rows: str) -> Any:
        """Hand the file in, let the import finish, and return its result."""
        content = "\n".join([",".join(COLUMNS), *rows]).encode()
        sent = await self.browser.post("/imports", files={"file": ("a.csv", content, "text/csv")})
        assert sent.status_code == 303, sent.text
        place = sent.headers["Location"]
        begun = await self.browser.post(f"{place}/begin")
        assert begun.status_code == 303, begun.text
        loops = self.market.services["portal"].service.loops
        (importing,) = [loop for loop in loops if loop.name == "vehicle imports"]
        while await importing.work():
            pass
        path = place.replace("/imports/", "/api/submissions/")
        told = (await self.market.ask(self.user, "portal", "GET", path)).json()
        return told["status"], told["succeeded"], [each["code"] for each in told["errors"]]

    async def on_market(self) -> list[UUID]:
        found = await self.market.ask(self.user, "vehicles", "GET", "/vehicles?limit=100")
        return [UUID(each["id"]) for each in found.json()["items"]]

    async def change(self, change: str, vehicle_id: UUID, who: User) -> None:
        method = "PATCH" if change == "mark_as_sold" else "POST"
        path = f"/vehicles/{vehicle_id}/{change}"
        answer = await self.market.ask(who, "vehicles", method, path)
        assert answer.is_success, answer.text


@pytest_asyncio.fixture(loop_scope="module")
async def seller(market: WholeMarket) -> Seller:
    user = await market.signed_up(person("seller", tenant=f"tenant-{person(tenant='t').id.hex}"))
    return Seller(market, user, await market.browser(user))


async def test_the_same_file_again_lists_nothing_twice(seller: Seller) -> None:
    rows = [seller.row(), seller.row()]
    assert await seller.imports(*rows) == ("DONE", 2, [])
    listed = await seller.on_market()
    assert await seller.imports(*rows) == ("DONE", 2, [])
    assert sorted(await seller.on_market()) == sorted(listed)


async def test_the_same_file_after_a_withdrawal_lists_the_vehicle_again(seller: Seller) -> None:
    row = seller.row()
    await seller.imports(row)
    (first,) = await seller.on_market()
    for _ in range(2):
        (listed,) = await seller.on_market()
        await seller.change("withdraw", listed, seller.user)
        assert await seller.on_market() == []
        assert await seller.imports(row) == ("DONE", 1, [])
        assert len(await seller.on_market()) == 1
    assert first not in await seller.on_market()


async def test_the_same_row_in_another_file_after_a_withdrawal_lists_the_vehicle_again(
    seller: Seller,
) -> None:
    row = seller.row()
    await seller.imports(row)
    (listed,) = await seller.on_market()
    await seller.change("withdraw", listed, seller.user)
    assert await seller.imports(row, seller.row()) == ("DONE", 2, [])
    assert len(await seller.on_market()) == 2


async def test_the_same_row_after_a_sale_says_so_and_lists_nothing(
    seller: Seller, market: WholeMarket
) -> None:
    row = seller.row()
    await seller.imports(row)
    (listed,) = await seller.on_market()
    admin = person("admin", tenant=seller.user.tenant_id)
    await seller.change("mark_as_sold", listed, admin)
    assert await seller.imports(row) == ("DONE", 0, [SOLD])
    assert await seller.on_market() == []
