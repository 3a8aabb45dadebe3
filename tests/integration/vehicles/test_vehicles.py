"""Vehicles are listed, read and edited over HTTP."""

import asyncio
from typing import Any

import pytest

from libs.kernel.ids import uuid7
from tests.integration.vehicles.conftest import Vehicles, body
from tests.unit.vehicles.samples import new_papers


async def test_vehicle_put_on_the_market_is_answered_with_its_place_and_version(
    vehicles: Vehicles,
) -> None:
    sent = body()
    answer = await vehicles.client.post("/vehicles", json=sent, headers=vehicles.admin)
    assert answer.status_code == 201
    listed = answer.json()
    assert answer.headers["Location"] == f"/vehicles/{listed['id']}"
    assert answer.headers["ETag"] == '"1"'
    masked = {name: listed.pop(name) for name in ("plate", "chassis_number", "renavam")}
    assert all(value.startswith("*") for value in masked.values())
    assert {name: sent[name] for name in listed if name in sent} == {
        name: value for name, value in listed.items() if name in sent
    }
    assert not any(listed[flag] for flag in ("is_reserved", "is_sold", "withdrawn"))
    assert (await vehicles.get(listed["id"]))["chassis_number"] == sent["chassis_number"]


async def test_listing_is_published_without_any_document_number(vehicles: Vehicles) -> None:
    sent = body()
    answer = await vehicles.client.post("/vehicles", json=sent, headers=vehicles.admin)
    (event,) = await vehicles.client.told(answer.json()["id"])
    assert (event["type"], int(event["sequence"])) == ("vehicle.listed.v1", 1)
    assert event["data"]["price_cents"] == sent["price_cents"]
    for paper in ("plate", "chassis_number", "renavam"):
        assert sent[paper] not in str(event)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"plate": "ABC12"}, "plate"),
        ({"chassis_number": "1HGCM82643A004352"}, "chassis_number"),
        ({"renavam": "12345678901"}, "renavam"),
        ({"year": 1800}, "year"),
        ({"price_cents": 0}, "price_cents"),
        ({"make": ""}, "make"),
        ({"model": "x" * 61}, "model"),
        ({"colour": "\u0007"}, "colour"),
    ],
)
async def test_vehicle_that_breaks_a_rule_is_refused_by_the_name_of_the_field(
    vehicles: Vehicles, change: dict[str, Any], field: str
) -> None:
    answer = await vehicles.client.post("/vehicles", json=body(**change), headers=vehicles.admin)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not await vehicles.client.rows(
        "SELECT 1 FROM vehicles WHERE tenant_id = :t", t=vehicles.tenant
    )


@pytest.mark.parametrize(
    "change", [{"owner": "x"}, {"year": "2019"}, {"price_cents": 1.5}, {"seller_id": "x"}]
)
async def test_unknown_or_mistyped_fields_are_refused(
    vehicles: Vehicles, change: dict[str, Any]
) -> None:
    answer = await vehicles.client.post("/vehicles", json=body(**change), headers=vehicles.admin)
    assert answer.status_code == 422
    assert next(iter(change)) in answer.text


async def test_creating_post_with_a_key_is_answered_word_for_word_again(
    vehicles: Vehicles,
) -> None:
    headers = {**vehicles.admin, "Idempotency-Key": "one"}
    sent = body()
    first = await vehicles.client.post("/vehicles", json=sent, headers=headers)
    again = await vehicles.client.post("/vehicles", json=sent, headers=headers)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await vehicles.client.post("/vehicles", json=body(), headers=headers)
    assert other.status_code == 422
    assert len(await vehicles.client.told(first.json()["id"])) == 1


@pytest.mark.parametrize("paper", ["plate", "chassis_number", "renavam"])
async def test_paper_on_the_market_already_is_refused_by_its_name(
    vehicles: Vehicles, paper: str
) -> None:
    sent = body()
    await vehicles.client.post("/vehicles", json=sent, headers=vehicles.admin)
    answer = await vehicles.client.post(
        "/vehicles", json=body(**{paper: sent[paper]}), headers=vehicles.admin
    )
    assert answer.status_code == 409
    assert answer.json()["type"].endswith(":vehicle-already-listed")
    assert answer.json()["field"] == paper
    assert sent[paper] not in answer.text


async def test_plate_in_its_mercosul_form_is_the_same_plate(vehicles: Vehicles) -> None:
    old = await vehicles.client.post(
        "/vehicles", json=body(plate="QQQ1234"), headers=vehicles.admin
    )
    assert old.status_code == 201
    new = await vehicles.client.post(
        "/vehicles", json=body(plate="QQQ1C34"), headers=vehicles.admin
    )
    assert new.json()["field"] == "plate"


async def test_same_papers_twice_at_once_are_listed_once(vehicles: Vehicles) -> None:
    sent = body()
    answers = await asyncio.gather(
        *(vehicles.client.post("/vehicles", json=sent, headers=vehicles.admin) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 7]


@pytest.mark.parametrize("end", ["mark_as_sold", "withdraw"])
async def test_vehicle_sold_or_withdrawn_may_be_listed_again(vehicles: Vehicles, end: str) -> None:
    sent = body()
    first = await vehicles.client.post("/vehicles", json=sent, headers=vehicles.admin)
    method = "PATCH" if end == "mark_as_sold" else "POST"
    path = f"/vehicles/{first.json()['id']}/{end}"
    assert (await vehicles.client.request(method, path, headers=vehicles.admin)).status_code == 200
    again = await vehicles.client.post("/vehicles", json=sent, headers=vehicles.admin)
    assert again.status_code == 201


async def test_unknown_vehicle_is_not_found(vehicles: Vehicles) -> None:
    answer = await vehicles.client.get(f"/vehicles/{uuid7()}", headers=vehicles.admin)
    assert answer.status_code == 404
    assert answer.json()["type"].endswith(":vehicle-not-found")


async def edit(
    vehicles: Vehicles, vehicle_id: str, changes: dict[str, Any], version: str | None = "1"
) -> Any:
    headers = vehicles.admin | ({} if version is None else {"If-Match": version})
    return await vehicles.client.patch(f"/vehicles/{vehicle_id}", json=changes, headers=headers)


async def test_edit_changes_what_was_sent_and_nothing_else(vehicles: Vehicles) -> None:
    listed = await vehicles.get((await vehicles.listed())["id"])
    answer = await edit(vehicles, listed["id"], {"price_cents": 123, "colour": "preto"}, '"1"')
    assert answer.status_code == 200
    assert answer.headers["ETag"] == '"2"'
    assert answer.json() == listed | {"price_cents": 123, "colour": "preto"}
    assert await vehicles.client.types(listed["id"]) == ["vehicle.listed.v1", "vehicle.updated.v1"]


async def test_edited_papers_are_read_back_and_kept_unique(vehicles: Vehicles) -> None:
    listed, other = await vehicles.listed(), new_papers()
    answer = await edit(vehicles, listed["id"], {"renavam": other.renavam})
    assert answer.json()["renavam"] == other.renavam
    taken = await vehicles.client.post(
        "/vehicles", json=body(renavam=other.renavam), headers=vehicles.admin
    )
    assert taken.json()["field"] == "renavam"


async def test_edit_to_a_paper_of_another_vehicle_is_refused(vehicles: Vehicles) -> None:
    first, second = await vehicles.listed(), await vehicles.listed()
    plate = (await vehicles.get(first["id"]))["plate"]
    answer = await edit(vehicles, second["id"], {"plate": plate})
    assert (answer.status_code, answer.json()["field"]) == (409, "plate")


async def test_edit_that_changes_nothing_keeps_the_version(vehicles: Vehicles) -> None:
    listed = await vehicles.listed()
    answer = await edit(vehicles, listed["id"], {"colour": listed["colour"]})
    assert answer.headers["ETag"] == '"1"'
    assert await vehicles.client.types(listed["id"]) == ["vehicle.listed.v1"]


async def test_edit_without_the_version_read_is_refused(vehicles: Vehicles) -> None:
    listed = await vehicles.listed()
    assert (await edit(vehicles, listed["id"], {"colour": "x"}, None)).status_code == 428
    assert (await edit(vehicles, listed["id"], {"colour": "x"}, "no")).status_code == 400
    assert (await edit(vehicles, listed["id"], {"colour": "x"}, "2")).status_code == 412


async def test_of_two_edits_of_one_version_the_second_is_stale(vehicles: Vehicles) -> None:
    listed = await vehicles.listed()
    answers = await asyncio.gather(
        *(edit(vehicles, listed["id"], {"colour": colour}) for colour in ("azul", "verde"))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]


@pytest.mark.parametrize("change", [{"colour": None}, {"seller_id": str(uuid7())}, {"year": 1}])
async def test_edit_that_breaks_a_rule_changes_nothing(
    vehicles: Vehicles, change: dict[str, Any]
) -> None:
    listed = await vehicles.listed()
    before = await vehicles.get(listed["id"])
    assert (await edit(vehicles, listed["id"], change)).status_code == 422
    assert await vehicles.get(listed["id"]) == before


@pytest.mark.parametrize("change", [{"price_cents": 1}, {"model": "Polo"}, {"plate": "ZZZ9999"}])
async def test_price_and_identity_are_fixed_while_a_purchase_holds_the_vehicle(
    vehicles: Vehicles, change: dict[str, Any]
) -> None:
    listed = await vehicles.listed()
    await vehicles.consumes_credit_reserved(listed)
    answer = await edit(vehicles, listed["id"], change, "2")
    assert answer.status_code == 409
    assert answer.json()["type"].endswith(":vehicle-reserved")
    assert (await edit(vehicles, listed["id"], {"colour": "rosa"}, "2")).status_code == 200


async def test_each_change_of_a_vehicle_by_a_purchase_is_a_new_version(
    vehicles: Vehicles,
) -> None:
    listed = await vehicles.listed()
    path = f"/vehicles/{listed['id']}"
    order_id = await vehicles.consumes_credit_reserved(listed)
    versions = [(await vehicles.client.get(path, headers=vehicles.admin)).headers["ETag"]]
    for event in ("payment.processed.v1", "payment.refunded.v1"):
        await vehicles.consumes(event, order_id=order_id)
        versions += [(await vehicles.client.get(path, headers=vehicles.admin)).headers["ETag"]]
    assert versions == ['"2"', '"3"', '"4"']


@pytest.mark.parametrize("role", ["seller", "admin"])
async def test_a_seller_who_saw_the_vehicle_free_cannot_withdraw_it_once_it_is_reserved(
    vehicles: Vehicles, role: str
) -> None:
    listed = await vehicles.listed()
    path, caller = f"/vehicles/{listed['id']}", vehicles.caller(role, subject=listed["seller_id"])
    seen = (await vehicles.client.get(path, headers=caller)).headers["ETag"]
    order_id = await vehicles.consumes_credit_reserved(listed)
    answer = await vehicles.client.post(f"{path}/withdraw", headers=caller | {"If-Match": seen})
    assert answer.status_code == (409 if role == "seller" else 412), answer.text
    await vehicles.consumes("payment.processed.v1", order_id=order_id)
    assert await vehicles.state(order_id) == "SOLD"


async def test_a_seller_withdraws_no_vehicle_that_a_purchase_holds(vehicles: Vehicles) -> None:
    listed = await vehicles.listed()
    path = f"/vehicles/{listed['id']}/withdraw"
    seller = vehicles.caller("seller", subject=listed["seller_id"])
    order_id = await vehicles.consumes_credit_reserved(listed)
    refused = await vehicles.client.post(path, headers=seller)
    assert refused.status_code == 409
    assert refused.json()["type"].endswith(":vehicle-reserved")
    await vehicles.consumes("payment.voided.v1", order_id=order_id)
    assert (await vehicles.client.post(path, headers=seller)).json()["withdrawn"]


async def test_a_sellers_withdrawal_and_a_reservation_at_once_agree(vehicles: Vehicles) -> None:
    for _ in range(5):
        listed = await vehicles.listed()
        seller = vehicles.caller("seller", subject=listed["seller_id"])
        order_id, withdrawn = await asyncio.gather(
            vehicles.consumes_credit_reserved(listed),
            vehicles.client.post(f"/vehicles/{listed['id']}/withdraw", headers=seller),
        )
        expected = "REFUSED" if withdrawn.status_code == 200 else "RESERVED"
        assert await vehicles.state(order_id) == expected


async def mark_as_sold(vehicles: Vehicles, vehicle_id: str, **headers: str) -> Any:
    return await vehicles.client.patch(
        f"/vehicles/{vehicle_id}/mark_as_sold", headers=vehicles.admin | headers
    )


async def test_vehicle_marked_as_sold_belongs_to_no_order_and_stays_as_it_is(
    vehicles: Vehicles,
) -> None:
    listed = await vehicles.listed()
    answer = await mark_as_sold(vehicles, listed["id"])
    assert answer.json()["is_sold"]
    assert answer.headers["ETag"] == '"2"'
    assert (await vehicles.client.told(listed["id"]))[-1]["data"]["is_sold"]
    assert (await edit(vehicles, listed["id"], {"colour": "x"}, "2")).status_code == 409
    assert (await mark_as_sold(vehicles, listed["id"])).status_code == 409
    assert not await vehicles.client.rows(
        "SELECT 1 FROM reservations WHERE tenant_id = :t", t=vehicles.tenant
    )


async def test_vehicle_is_not_marked_as_sold_while_a_purchase_holds_it(vehicles: Vehicles) -> None:
    listed = await vehicles.listed()
    await vehicles.consumes_credit_reserved(listed)
    answer = await mark_as_sold(vehicles, listed["id"])
    assert answer.status_code == 409
    assert answer.json()["type"].endswith(":vehicle-reserved")


async def test_mark_as_sold_and_withdraw_refuse_a_stale_version(vehicles: Vehicles) -> None:
    listed = await vehicles.listed()
    assert (await mark_as_sold(vehicles, listed["id"], **{"If-Match": "7"})).status_code == 412
    answer = await vehicles.client.post(
        f"/vehicles/{listed['id']}/withdraw", headers=vehicles.admin | {"If-Match": "7"}
    )
    assert answer.status_code == 412


async def test_withdrawn_vehicle_is_published_and_stays_as_it_is(vehicles: Vehicles) -> None:
    listed = await vehicles.listed()
    path = f"/vehicles/{listed['id']}/withdraw"
    answer = await vehicles.client.post(path, headers=vehicles.admin)
    assert answer.json()["withdrawn"]
    assert (await vehicles.client.types(listed["id"]))[-1] == "vehicle.withdrawn.v1"
    assert (await vehicles.client.post(path, headers=vehicles.admin)).status_code == 409
    assert (await edit(vehicles, listed["id"], {"colour": "x"}, "2")).status_code == 409
    assert (await mark_as_sold(vehicles, listed["id"])).status_code == 409


async def test_a_check_names_all_that_is_wrong_with_each_vehicle_and_lists_none(
    vehicles: Vehicles,
) -> None:
    bad = body(year=None, price_cents=0, chassis_number="1HGCM82643A004352", owner="Ana")
    del bad["make"]
    sent = {"vehicles": [body(), bad, {}]}
    answer = await vehicles.client.post("/vehicles/checks", json=sent, headers=vehicles.admin)
    assert answer.status_code == 200
    good, wrong, empty = (each["errors"] for each in answer.json()["vehicles"])
    assert good == []
    assert {error["field"]: error["code"] for error in wrong} == {
        "make": "missing",
        "year": "malformed",
        "price_cents": "price-out-of-range",
        "chassis_number": "wrong-chassis-check-digit",
        "owner": "unknown-field",
    }
    assert {error["code"] for error in empty} == {"missing"}
    listed = await vehicles.client.get("/vehicles", headers=vehicles.admin)
    assert listed.json()["items"] == []


async def test_a_check_of_too_many_vehicles_is_refused(vehicles: Vehicles) -> None:
    sent: dict[str, Any] = {"vehicles": [{}] * 201}
    answer = await vehicles.client.post("/vehicles/checks", json=sent, headers=vehicles.admin)
    assert answer.status_code == 422


async def test_a_short_chassis_number_goes_with_its_year_only(vehicles: Vehicles) -> None:
    old = body(year=1974, chassis_number="BJ-123456")
    answer = await vehicles.client.post("/vehicles", json=old, headers=vehicles.admin)
    assert answer.status_code == 201, answer.text
    path = f"/vehicles/{answer.json()['id']}"
    headers = {**vehicles.admin, "If-Match": "1"}
    refused = await vehicles.client.patch(path, json={"year": 1990}, headers=headers)
    assert refused.status_code == 422
    newer = body(year=1987, chassis_number="BJ123456")
    refused = await vehicles.client.post("/vehicles", json=newer, headers=vehicles.admin)
    assert refused.status_code == 422
    assert "chassis_number" in refused.text
    assert (await vehicles.get(answer.json()["id"]))["chassis_number"] == "BJ123456"
