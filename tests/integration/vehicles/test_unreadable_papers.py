"""A document number that cannot be read affects nothing else of its vehicle."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from libs.runtime.crypto import new_key
from services.vehicles.infrastructure.settings import VehiclesSettings
from services.vehicles.main import build
from tests.fixtures.services import serving
from tests.integration.vehicles.conftest import Vehicles, body
from tests.unit.vehicles.samples import new_papers


async def damage(vehicles: Vehicles, vehicle: dict[str, Any], column: str = "plate") -> None:
    """Flip the last byte of the stored value."""
    last = f"octet_length({column}) - 1"
    flipped = f"set_byte({column}, {last}, get_byte({column}, {last}) # 1)"
    statement = f"UPDATE vehicles SET {column} = {flipped} WHERE id = cast(:id as uuid)"
    await vehicles.client.execute(statement, id=vehicle["id"])


@pytest.fixture
async def only_own(vehicles: Vehicles) -> AsyncIterator[Vehicles]:
    """Delete the rows of other tests, and afterwards of this one, because /ready looks at the rows
    of all tenants.
    """

    await vehicles.client.execute("DELETE FROM vehicles")
    yield vehicles
    await vehicles.client.execute("DELETE FROM vehicles")


async def test_a_list_shows_the_others_and_marks_the_paper_that_cannot_be_read(
    vehicles: Vehicles,
) -> None:
    whole = await vehicles.listed(price_cents=1_000)
    damaged = await vehicles.listed(price_cents=2_000)
    await damage(vehicles, damaged)
    with capture_logs() as logs:
        answer = await vehicles.client.get("/vehicles", headers=vehicles.admin)
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["items"]
    assert (first["id"], second["id"]) == (whole["id"], damaged["id"])
    assert first["plate"]
    assert second["plate"] is None
    assert second["renavam"]
    assert [
        (each["column"], each["id"], each["log_level"])
        for each in logs
        if each["event"] == "a sealed value cannot be read"
    ] == [("vehicles.plate", damaged["id"], "error")]


async def test_a_damaged_value_is_logged_once_however_often_it_is_read(vehicles: Vehicles) -> None:
    damaged = await vehicles.listed()
    await damage(vehicles, damaged, "renavam")
    with capture_logs() as logs:
        for _ in range(3):
            assert (await vehicles.get(damaged["id"]))["renavam"] is None
    assert [each["id"] for each in logs if "sealed" in each["event"]] == [damaged["id"]]


async def test_a_vehicle_with_an_unreadable_paper_is_edited_sold_and_withdrawn(
    vehicles: Vehicles,
) -> None:
    edited, sold, withdrawn = [await vehicles.listed() for _ in range(3)]
    for each in (edited, sold, withdrawn):
        await damage(vehicles, each)
    before = await vehicles.client.rows(
        "SELECT plate, plate_index FROM vehicles WHERE id = cast(:id as uuid)", id=edited["id"]
    )
    headers = vehicles.admin | {"If-Match": "1"}
    one = f"/vehicles/{edited['id']}"
    answer = await vehicles.client.patch(one, json={"price_cents": 5_000}, headers=headers)
    assert (answer.status_code, answer.json()["plate"]) == (200, None)
    after = await vehicles.client.rows(
        "SELECT plate, plate_index FROM vehicles WHERE id = cast(:id as uuid)", id=edited["id"]
    )
    assert before == after
    one = f"/vehicles/{sold['id']}/mark_as_sold"
    assert (await vehicles.client.patch(one, headers=headers)).status_code == 200
    one = f"/vehicles/{withdrawn['id']}/withdraw"
    assert (await vehicles.client.post(one, headers=headers)).status_code == 200


async def test_an_unreadable_paper_is_mended_by_writing_it_again(vehicles: Vehicles) -> None:
    damaged = await vehicles.listed()
    await damage(vehicles, damaged)
    plate = new_papers().plate
    headers = vehicles.admin | {"If-Match": "1"}
    one = f"/vehicles/{damaged['id']}"
    answer = await vehicles.client.patch(one, json={"plate": plate}, headers=headers)
    assert (answer.status_code, answer.json()["plate"]) == (200, plate)
    again = await vehicles.client.post("/vehicles", json=body(plate=plate), headers=headers)
    assert again.json()["type"].endswith(":vehicle-already-listed")


@pytest.mark.parametrize("change", ["dropped", "replaced"])
async def test_a_key_that_does_not_fit_is_reported_at_the_start(
    only_own: Vehicles, vehicles_database: str, keys: dict[str, Any], change: str
) -> None:
    for _ in range(2):
        await only_own.listed()
    kept = {"dropped": f"k2:{new_key()}", "replaced": f"k1:{new_key()}"}[change]
    settings = VehiclesSettings(
        _env_file=None,
        database_url=vehicles_database,
        role="api",
        data_keys=kept,
        index_key=keys["index_key"],
    )
    with capture_logs() as logs:
        async with serving(build(settings)) as client:
            state = await client.down("data keys")
            for _ in range(3):
                await client.post("/vehicles", json=body(), headers={"X-Tenant-Id": "elsewhere"})
            listed = await client.get("/vehicles", headers={"X-Tenant-Id": only_own.tenant})
    assert state.startswith("down: ")
    assert "'k1'" in state
    assert [each["event"] for each in logs].count("the keys do not fit the rows") == 1
    assert [each["plate"] for each in listed.json()["items"]] == [None, None]
    async with serving(build(settings)) as client:  # later values do not hide the damaged one
        assert await client.down("data keys")


async def test_another_index_key_is_reported_at_the_start(
    only_own: Vehicles, vehicles_database: str, keys: dict[str, Any]
) -> None:
    for _ in range(2):
        await only_own.listed()
    settings = VehiclesSettings(
        _env_file=None,
        database_url=vehicles_database,
        role="api",
        data_keys=keys["data_keys"],
        index_key=new_key(),
    )
    async with serving(build(settings)) as client:
        state = await client.down("data keys")
    assert state == "down: INDEX_KEY is not the one that the rows are found by"


async def test_a_value_with_a_damaged_key_id_does_not_make_the_service_unready(
    only_own: Vehicles, vehicles_database: str, keys: dict[str, Any]
) -> None:
    damaged = await only_own.listed()
    await only_own.client.execute(
        "UPDATE vehicles SET plate = set_byte(plate, 2, 120) WHERE id = cast(:id as uuid)",
        id=damaged["id"],
    )
    settings = VehiclesSettings(_env_file=None, database_url=vehicles_database, role="api", **keys)
    async with serving(build(settings)) as client:
        ready = await client.get("/ready")
    assert (ready.status_code, ready.json()["checks"]["data keys"]) == (200, "ok")
