"""Three processes of each role of each service work on one Postgres and one RabbitMQ."""

import asyncio
import json
import re
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from validate_docbr import RENAVAM

from deploy.demo.market import Market, random_chassis_number, random_plate
from deploy.demo.scenarios import PRICE, SCENARIOS
from deploy.services import SERVICES
from services.portal.domain.sign_in_limits import ATTEMPTS
from tests.e2e.patience import until_answered
from tests.e2e.quiet import invariants_hold
from tests.e2e.replicas.conftest import PARTITIONS, Three
from tests.e2e.replicas.staff import browsers, credentials
from tests.e2e.replicas.system import Replicated
from tests.fixtures.buying import complete
from tests.fixtures.polling import eventually

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(400)]


async def test_purchases_of_every_outcome_end_as_they_should(
    three: Replicated, market: Market
) -> None:
    await asyncio.gather(*(scenario.play(market) for scenario in SCENARIOS))
    await invariants_hold(three)


async def test_a_key_sent_to_three_replicas_at_once_has_one_effect_and_one_answer(
    three: Replicated, market: Market
) -> None:
    customer = await market.register_customer(credit_limit_cents=2 * PRICE)
    vehicle = await market.list_vehicle(price_cents=PRICE)
    wanted = {"customer_id": str(customer), "vehicle_id": str(vehicle), "total_cents": PRICE}
    headers = {"Idempotency-Key": str(uuid4()), "X-Tenant-Id": market.tenant}

    async def buy_at(address: str) -> bytes:
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:

            async def ask() -> httpx.Response:
                answer = await client.post(f"{address}/purchase", json=wanted, headers=headers)
                return answer.raise_for_status()

            return (await until_answered(ask)).content

    answers = await asyncio.gather(*map(buy_at, three.apis("orders") * 2))
    assert len(answers) == 6
    assert len(set(answers)) == 1
    orders = await rows(three, "orders", "SELECT id FROM orders WHERE customer_id = $1", customer)
    assert [str(each) for each in orders] == [json.loads(answers[0])["transaction_id"]]


async def test_wrong_sign_ins_are_counted_over_all_replicas(three: Replicated) -> None:
    body = {"email": "stranger@example.com", "password": "wrong horse battery"}
    places = [f"{address}/api/sessions" for address in three.apis("portal")]
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:

        async def guess(place: str) -> int:
            async def counted() -> int:
                status = (await client.post(place, json=body)).status_code
                return 0 if status == 503 else status  # a busy machine did not count it

            return await eventually(counted)

        answers = await asyncio.gather(*(guess(place) for place in places * 3))
        refused = [await guess(place) for place in places]
    assert sorted(answers) == [401] * ATTEMPTS.here + [429] * (9 - ATTEMPTS.here)
    assert refused == [429] * 3


async def test_streams_at_three_replicas_show_what_other_processes_write(
    three: Replicated, market: Market
) -> None:
    customer = await market.register_customer(credit_limit_cents=PRICE)
    order = await market.buy(customer, await market.list_vehicle(price_cents=PRICE), PRICE)
    async with browsers(three) as at:
        told = [asyncio.create_task(moments(browser, order)) for browser in at]
        await market.pay(await market.payment_code(order))
        await market.reach(order, "COMPLETED")
        assert not any(each.done() for each in told)
        await market.pick_up(order)
        first, *others = await asyncio.wait_for(asyncio.gather(*told), timeout=60)
    assert [each["id"] for each in first] == [str(n + 1) for n in range(len(first))]
    assert len(first) > 5
    assert others == [first, first]


async def test_a_dead_letter_is_redriven_once_though_three_replicas_are_asked(
    three: Replicated, market: Market
) -> None:
    customer = await market.register_customer(credit_limit_cents=PRICE)
    vehicle = await market.list_vehicle(price_cents=PRICE)
    await rows(three, "vehicles", REFUSE)
    order = await market.buy(customer, vehicle, PRICE)
    async with browsers(three) as at:
        letter = await eventually(lambda: letter_about(at[0], order))
        await rows(three, "vehicles", ACCEPT)
        bought = asyncio.create_task(complete(market, order))
        place = "/operations/dead-letters/vehicles"
        asked = [each.post(f"{place}/redrive", data={"message": letter}) for each in at]
        assert [each.status_code for each in await asyncio.gather(*asked)] == [303] * 3
        for each in at:
            assert await letter_about(each, order) is None
        redriven = await each.get("/api/audits?action=dead_letter.redriven&limit=100")
    await bought
    done = [each for each in redriven.json()["items"] if each["target"] == letter]
    assert [each["result"] for each in done] == ["done"]
    await invariants_hold(three)


async def test_files_handed_in_at_one_replica_are_listed_once_each(
    three: Replicated,
) -> None:
    make = f"Gurgel {uuid4().hex[:6]}"
    async with browsers(three) as at:
        begun = []
        for number in range(3):
            file = {"file": ("some.csv", vehicles_of(make, 12), "text/csv")}
            place = (await at[number].post("/imports", files=file)).headers["Location"]
            answer = await at[number - 1].post(f"{place}/begin", data={"prices": "yes"})
            assert answer.status_code == 303, answer.text
            begun.append(place.replace("/imports/", "/api/submissions/"))

        async def done() -> bool:
            told = [(await at[n - 2].get(begun[n])).json() for n in range(3)]
            assert [(each["status"], each["succeeded"]) for each in told] == [("DONE", 12)] * 3
            return True

        await eventually(done, timeout=60)
    assert await rows(three, "vehicles", LISTED, make) == [36]


async def test_audits_written_at_three_replicas_at_once_are_one_chain(three: Replicated) -> None:
    async with browsers(three) as at:
        for address in three.apis("portal") * 5:
            await sign_in_at(address, credentials(three))
        own = (await at[0].get("/api/sessions")).json()["items"]
        others = [each["id"] for each in own if not each["is_this_one"]]
        assert len(others) >= 14
        ends = [at[n % 3].delete(f"/api/sessions/{each}") for n, each in enumerate(others)]
        assert {each.status_code for each in await asyncio.gather(*ends)} == {204}
        chains = [(await each.get("/api/audits/verification")).json() for each in at]
    assert [each["problem"] for each in chains] == [None] * 3
    assert chains[0]["checked"] > 2 * 14


async def test_partitions_are_made_once_where_six_processes_would_make_them(three: Three) -> None:
    for spec in SERVICES:
        gone = three.partitions_ahead[spec.name]
        assert len(gone) >= 14, gone  # a week of each of two tables
        assert gone <= set(await rows(three, spec.name, PARTITIONS))
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        for replica in three.replicas:
            answer = await client.get(f"http://127.0.0.1:{replica.port}/ready")
            assert answer.json()["checks"].get("partitions", "ok") == "ok"
    wrong = [each for each in three.logged() if each["level"] in ("error", "critical")]
    assert [each for each in wrong if each["event"] != "dead letter"] == []
    assert [each for each in three.logged() if "partitions" in each["logger"]] == []


REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON reservations FOR EACH ROW EXECUTE FUNCTION refuse();
"""
ACCEPT = "DROP FUNCTION refuse CASCADE"
LISTED = "SELECT count(DISTINCT plate_index) FROM vehicles WHERE make = $1 HAVING count(*) = 36"


async def rows(system: Replicated, service: str, statement: str, *values: object) -> list[Any]:
    """Return the first column of what the statement finds in the service's database."""
    database = await asyncpg.connect(system.databases[service])
    try:
        if not values and ";" in statement:
            await database.execute(statement)
            return []
        return [row[0] for row in await database.fetch(statement, *values)]
    finally:
        await database.close()


async def sign_in_at(address: str, body: dict[str, str]) -> None:
    """Sign in with a new browser."""
    async with httpx.AsyncClient(timeout=30, trust_env=False) as browser:
        answer = await browser.post(f"{address}/api/sessions", json=body)
        assert answer.status_code == 201, answer.text


async def moments(browser: httpx.AsyncClient, order: UUID) -> list[dict[str, str]]:
    """Return the events of this purchase's stream, until `finished`."""
    told: list[dict[str, str]] = [{}]
    async with browser.stream("GET", f"/api/purchases/{order}/timeline/events") as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            name, separator, value = line.partition(": ")
            if separator and name:
                told[-1][name] = value
            elif told[-1]:
                told.append({})
    *moments, finished = [each for each in told if each]
    assert finished["event"] == "finished", finished
    return moments


async def letter_about(browser: httpx.AsyncClient, order: UUID) -> str | None:
    """Return the id of the dead letter about this purchase that the desk shows."""
    page = await browser.get("/operations")
    assert page.status_code == 200, page.text
    found = re.search(rf'name="one" value="([^"]+)" aria-label="[^"]*{order}"', page.text)
    return found[1] if found else None


def vehicles_of(make: str, how_many: int) -> str:
    lines = ["make,model,year,colour,price,plate,chassis_number,renavam"]
    for _ in range(how_many):
        papers = f"{random_plate()},{random_chassis_number()},{RENAVAM().generate()}"
        lines.append(f"{make},BR-800,2020,branco,25000,{papers}")
    return "\n".join(lines)
