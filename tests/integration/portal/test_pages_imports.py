"""A file of vehicles is checked and shown first, and imported when its owner confirms."""

import json

import httpx
import pytest
from validate_docbr import RENAVAM

from services.portal.application.verify_audits import verify_audits
from services.portal.domain.user import User
from services.portal.domain.vehicle_file import read_vehicle_file
from services.portal.infrastructure.store.postgres import Store
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import AddUser, Enter, Serve, execute, signed_in
from tests.integration.portal.pages import Behind

NOWHERE = "http://127.0.0.1:1"
CHECK = "vehicles POST /vehicles/checks"
HEADER = "make,model,year,colour,price_cents,plate,chassis_number,renavam"
GOL = "Volkswagen,Gol,2022,prata,4590000,ABC1D23,9BWZZZ377VT004251,12345678900"


async def hand_in(portal: ServiceClient, content: bytes) -> tuple[int, str]:
    answer = await portal.post("/imports", files={"file": ("gol.csv", content, "text/csv")})
    return answer.status_code, answer.headers.get("location", "") or answer.text


async def test_a_file_handed_in_twice_is_one_submission(
    serve: Serve, add_user: AddUser, transactions: Store
) -> None:
    await add_user("seller")
    content = f"{HEADER}\n{GOL}\n".encode()
    async with serve(vehicles_url=NOWHERE) as portal:
        await signed_in(portal, "seller@example.com")
        status, place = await hand_in(portal, content)
        assert status == 303
        assert await hand_in(portal, content) == (303, place)
        for _ in range(2):
            assert (await portal.post(f"{place}/begin")).status_code == 303
        assert await hand_in(portal, content) == (303, place)
        page = (await portal.get(place)).text
    assert "0 of 1 rows" in page
    assert 'data-hx-trigger="every 1s"' in page
    assert "The service vehicles is not answering just now" in page
    report = await transactions.run(lambda uow: verify_audits(uow, tenant_id="default"))
    assert report.problem is None


async def test_a_file_that_is_none_is_refused_beside_its_field(
    portal: ServiceClient, seller: User
) -> None:
    for content, says in (
        (b"make,model\n", "lacks these columns: Year, Colour, Price, Plate"),
        (b"PK\x03\x04", "This is a spreadsheet"),
        (b"", "The file is empty."),
    ):
        status, text = await hand_in(portal, content)
        assert status == 422
        assert says in text
    assert (await portal.post("/imports", data={})).status_code == 422


async def test_the_result_of_a_file_is_shown_and_nothing_is_done_before_its_owner_confirms(
    portal: ServiceClient, seller: User
) -> None:
    bad = GOL.replace("2022", "MMXXII").replace("Gol", "Voyage")
    _, place = await hand_in(portal, f"{HEADER},km\n{GOL},1\n{bad},2\n".encode())
    page = (await portal.get(place)).text
    for said in (
        "1 vehicle can be put on the market",
        "1 row has an error and is left out.",
        "These columns are not used: km",
        "R$45,900.00",
        "This is not a year, such as 2021.",
    ):
        assert said in page
    told = (await portal.get(f"/api/submissions/{place.rpartition('/')[2]}")).json()
    assert (told["status"], told["succeeded"], told["failed"]) == ("READY", 0, 0)
    assert (await portal.post(f"{place}/begin")).status_code == 303
    assert "under way" in (await portal.get(place)).text
    assert (await portal.post(f"{place}/discard")).status_code == 303
    assert (await portal.get(place)).status_code == 200


async def test_a_row_that_the_service_would_refuse_is_among_the_errors_in_order(
    portal: ServiceClient, behind: Behind, enter: Enter
) -> None:
    await enter("seller")
    rows = [GOL.replace("ABC1D23", f"ABC1D{n}") for n in range(30, 65)]
    rows[10] = rows[10].replace("2022", "MMXXII")

    def check(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)["vehicles"]
        wrong = {
            "field": "renavam",
            "code": "wrong-renavam-check-digit",
            "message": "",
            "params": {},
        }
        found = [{"errors": [wrong] if each["plate"] == "ABC1D31" else []} for each in asked]
        return httpx.Response(200, json={"vehicles": found})

    behind.answers[CHECK] = check
    _, place = await hand_in(portal, "\n".join([HEADER, *rows]).encode())
    page = (await portal.get(place)).text
    assert "33 vehicles can be put on the market" in page
    first, second = (page.index(text) for text in ("check digit of the RENAVAM", "not a year"))
    assert first < second
    assert [len(each["vehicles"]) for each in behind.bodies(CHECK)] == [30, 4]
    behind.down("vehicles")
    page = (await portal.get(place)).text
    assert "34 vehicles can be put on the market" in page
    assert "not answering" in page


async def test_a_price_a_hundred_times_off_is_asked_about(
    portal: ServiceClient, seller: User
) -> None:
    _, place = await hand_in(portal, f"{HEADER}\n{GOL.replace('4590000', '45900')}\n".encode())
    assert "Row 2: Volkswagen Gol for R$459.00" in (await portal.get(place)).text
    refused = await portal.post(f"{place}/begin")
    assert refused.status_code == 422
    assert "Confirm the prices" in refused.text
    assert (await portal.post(f"{place}/begin", data={"prices": "yes"})).status_code == 303
    assert "under way" in (await portal.get(place)).text


async def test_a_discarded_file_leaves_nothing_behind(portal: ServiceClient, seller: User) -> None:
    _, place = await hand_in(portal, f"{HEADER}\n{GOL}\n".encode())
    assert (await portal.post(f"{place}/discard")).headers["location"] == "/imports"
    assert "Nothing was put on the market." in (await portal.get("/imports")).text
    assert (await portal.get(place)).status_code == 404


async def test_another_seller_neither_sees_nor_begins_a_file_and_an_admin_sees_no_papers(
    portal: ServiceClient, seller: User, enter: Enter
) -> None:
    _, place = await hand_in(portal, f"{HEADER}\n{GOL}\n".encode())
    assert "9BWZZZ377VT004251" in (await portal.get(place)).text
    portal.cookies.clear()
    await enter("seller", email="other@example.com")
    assert (await portal.get(place)).status_code == 404
    for work in ("begin", "discard"):
        assert (await portal.post(f"{place}/{work}")).status_code == 404
    portal.cookies.clear()
    await enter("admin")
    page = (await portal.get(place)).text
    assert "1 vehicle can be put on the market" in page
    assert "9BWZZZ377VT004251" not in page


async def test_a_file_that_nobody_begins_is_forgotten_after_a_day(
    portal: ServiceClient, seller: User, portal_database: str, transactions: Store
) -> None:
    _, old = await hand_in(portal, f"{HEADER}\n{GOL}\n".encode())
    await execute(
        portal_database, "UPDATE submissions SET created_at = now() - interval '25 hours'"
    )
    _, new = await hand_in(portal, f"{HEADER}\n{GOL},\n".encode())
    await transactions.run(lambda uow: uow.submissions.forget_old())
    assert (await portal.get(old)).status_code == 404
    assert (await portal.get(new)).status_code == 200


@pytest.mark.parametrize(
    ("language", "header"),
    [
        ("en", "Make,Model,Year,Colour,Price,Plate,Chassis number,RENAVAM"),
        ("pt", "Marca;Modelo;Ano;Cor;Preço;Placa;Chassi;RENAVAM"),
        ("es", "Marca;Modelo;Año;Color;Precio;Placa;Número de chasis;RENAVAM"),
    ],
)
async def test_the_template_is_a_file_that_can_be_handed_in(
    portal: ServiceClient, seller: User, language: str, header: str
) -> None:
    portal.cookies.set("locale", language)
    answer = await portal.get("/imports/template")
    assert answer.content.decode("utf-8-sig").splitlines()[0] == header
    (row,) = read_vehicle_file(answer.content).rows
    assert row.price_cents == 45_900_00
    assert not RENAVAM().validate(row.values["renavam"]), "the example could be put on the market"


async def test_a_submission_is_seen_by_who_handed_it_in_and_by_operators(
    portal: ServiceClient, add_user: AddUser, enter: Enter
) -> None:
    await enter("seller")
    _, place = await hand_in(portal, f"{HEADER}\n{GOL}\n".encode())
    portal.cookies.clear()
    await add_user("seller", email="other@example.com")
    await signed_in(portal, "other@example.com")
    assert (await portal.get(place)).status_code == 404
    portal.cookies.clear()
    await enter("operator")
    assert (await portal.get(place)).status_code == 200
    assert "gol.csv" in (await portal.get("/submissions")).text
