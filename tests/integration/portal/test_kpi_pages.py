"""The staff reads KPIs in the portal, and admins define, try, change and archive them."""

from typing import Any

import httpx
import pytest

from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import Enter
from tests.integration.portal.pages import Behind, error_of, field_of, submit

TEMPLATE = "SELECT SUM(amount) FROM sales WHERE month = :month"
VIEWS = {"items": [{"name": "sales", "columns": ["amount", "month"]}]}
TYPED = {"name": "Ticket médio", "description": "", "sql_template": TEMPLATE, "do": "save"}


def kpi(kpi_id: str = "monthly_sales", **changed: Any) -> dict[str, Any]:
    return {
        "id": kpi_id,
        "name": "Monthly sales",
        "description": "The total of the month's sales.",
        "sql_template": TEMPLATE,
        "owner": "mercado-veiculo",
        "status": "active",
        "version": 3,
        **changed,
    }


@pytest.fixture
async def admin(portal: ServiceClient, behind: Behind, enter: Enter) -> ServiceClient:
    await enter("admin")
    behind.says("kpis GET /kpis/active", {"items": [kpi()], "time_zone": "America/Sao_Paulo"})
    behind.says("kpis GET /kpis", {"items": [kpi()], "next": None})
    behind.says("kpis GET /kpis/views", VIEWS)
    behind.says("kpis GET /kpis/monthly_sales", kpi(), ETag='"3"')
    figure = {"columns": ["sum"], "units": ["cents"], "rows": [[221_850_100]], "value": 221_850_100}
    behind.says("kpis GET /kpis/monthly_sales/value", figure)
    return portal


async def test_amounts_are_money_and_names_and_months_are_the_readers(admin: ServiceClient) -> None:
    admin.cookies.set("locale", "pt")
    page = (await admin.get("/kpis?month=2026-11")).text
    for text in ("R$\xa02.218.501,00", "Vendas do mês", "nov. de 2026", "Horário Brasil"):
        assert text in page, text
    assert "Monthly sales" not in page
    assert "221.850.100" not in page
    assert "221850100" not in page


async def test_an_operator_reads_kpis_and_cannot_define_them(
    portal: ServiceClient, admin: ServiceClient, enter: Enter
) -> None:
    portal.cookies.clear()
    await enter("operator")
    page = (await portal.get("/kpis")).text
    assert "Monthly sales" in page
    assert "/kpis/new" not in page
    assert "/edit" not in page
    assert (await portal.get("/kpis/new")).status_code == 403


async def test_a_kpi_is_tried_before_it_is_defined(admin: ServiceClient, behind: Behind) -> None:
    behind.says(
        "kpis POST /kpis/trial", {"columns": ["sum"], "units": ["cents"], "rows": [[98_900_00]]}
    )
    form = await admin.get("/kpis/new")
    assert "amount, month" in form.text
    key = field_of(form, "key")
    tried = await submit(
        admin, form, "/kpis/new", **{**TYPED, "key": key, "month": "2026-10", "do": "try"}
    )
    assert tried.status_code == 200
    assert "R$98,900.00" in tried.text
    assert "Nothing was saved." in tried.text
    assert field_of(tried, "name") == "Ticket médio"
    assert behind.bodies("kpis POST /kpis/trial") == [
        {"sql_template": TEMPLATE, "month": "2026-10"}
    ]
    assert behind.sent("kpis POST /kpis") == []
    behind.says("kpis POST /kpis", kpi("kpi_x"), 201)
    for _ in range(2):
        done = await submit(admin, tried, "/kpis/new", **{**TYPED, "key": key})
        assert done.status_code == 303
    bodies = behind.bodies("kpis POST /kpis")
    assert bodies[0] == bodies[1]
    assert bodies[0]["name"] == "Ticket médio"
    assert behind.sent("kpis POST /kpis")[0].headers["Idempotency-Key"] == key


async def test_an_error_of_a_template_stands_beside_it(
    admin: ServiceClient, behind: Behind
) -> None:
    wrong = {
        "field": "sql_template",
        "code": "template-unknown-column",
        "params": {"name": "amonut"},
    }
    for call in ("kpis POST /kpis/trial", "kpis POST /kpis"):
        behind.refuses(call, 422, "invalid-input", "in English", errors=[wrong])
    form = await admin.get("/kpis/new")
    for do in ("try", "save"):
        page = await submit(admin, form, "/kpis/new", **{**TYPED, "do": do})
        assert page.status_code == 422
        assert "amonut" in error_of(page, "sql_template")
        assert TEMPLATE in page.text


async def test_a_kpi_is_changed_and_a_conflict_is_no_dead_end(
    admin: ServiceClient, behind: Behind
) -> None:
    path = "/kpis/monthly_sales/edit"
    form = await admin.get(path)
    assert field_of(form, "version") == '"3"'
    behind.refuses("kpis PATCH /kpis/monthly_sales", 412, "stale-version", "is at version 4")
    behind.says("kpis GET /kpis/monthly_sales", kpi(), ETag='"4"')
    page = await submit(admin, form, path, **TYPED, version='"3"')
    assert "Somebody else changed this KPI" in page.text
    assert field_of(page, "version") == '"4"'
    behind.says("kpis PATCH /kpis/monthly_sales", kpi(version=5))
    done = await submit(admin, page, path, **TYPED, version='"4"')
    assert done.status_code == 303
    assert behind.sent("kpis PATCH /kpis/monthly_sales")[-1].headers["If-Match"] == '"4"'
    assert "monthly_sales" in (await admin.get("/audits?action=kpi.changed")).text


async def test_a_kpi_is_archived_and_restored(admin: ServiceClient, behind: Behind) -> None:
    behind.says("kpis PATCH /kpis/monthly_sales", kpi(status="inactive"))
    form = await admin.get("/kpis/monthly_sales/edit")
    path = "/kpis/monthly_sales/status"
    await submit(admin, form, path, status="inactive", version='"3"')
    behind.says("kpis GET /kpis", {"items": [kpi(status="inactive")], "next": None})
    behind.says("kpis GET /kpis/active", {"items": [], "time_zone": "UTC"})
    page = await admin.get("/kpis")
    assert "Archived" in page.text
    await submit(admin, page, path, status="active", version=field_of(page, "version"))
    assert behind.bodies("kpis PATCH /kpis/monthly_sales") == [
        {"status": "inactive"},
        {"status": "active"},
    ]


@pytest.mark.parametrize("kpi_id", ["nothing", "..%2Factive", "UPPER", "%00", "x" * 100])
async def test_a_kpi_that_is_none_is_not_there(
    admin: ServiceClient, behind: Behind, kpi_id: str
) -> None:
    behind.refuses("kpis GET /kpis/nothing", 404, "kpi-not-found", "no such KPI")
    assert (await admin.get(f"/kpis/{kpi_id}/edit")).status_code == 404


async def test_without_the_service_the_forms_say_so(admin: ServiceClient, behind: Behind) -> None:
    form: httpx.Response = await admin.get("/kpis/new")
    behind.down("kpis")
    assert (await submit(admin, form, "/kpis/new", **TYPED)).status_code == 503
    assert (await admin.get("/kpis")).status_code == 503
