"""KPIs are defined, changed and read over HTTP."""

import asyncio
from typing import Any

import httpx
import pytest

from libs.kernel.ids import uuid7
from services.kpis.main import build
from services.tokens import Issuer
from tests.fixtures.callers import caller as headers_of
from tests.fixtures.services import serving
from tests.integration.kpis.conftest import Database, Kpis, settings_for

SHIPPED = [
    "cancellations_by_reason",
    "conversion",
    "median_time_to_purchase",
    "monthly_sales",
    "new_customers",
    "payouts_due",
    "sales_per_month",
    "vehicles_for_sale",
]
MONTHLY = {
    "id": "kpi_001",
    "name": "Ventas Mensuales",
    "description": "Total de ventas del mes",
    "sql_template": "SELECT SUM(amount) FROM sales WHERE month = :month",
    "owner": "user",
    "status": "active",
}


async def post(kpis: Kpis, body: dict[str, Any], **headers: str) -> httpx.Response:
    return await kpis.client.post("/kpis", json=body, headers=kpis.headers | headers)


async def patch(
    kpis: Kpis, kpi_id: str, body: dict[str, Any], version: str | None
) -> httpx.Response:
    headers = kpis.headers | ({} if version is None else {"If-Match": version})
    return await kpis.client.patch(f"/kpis/{kpi_id}", json=body, headers=headers)


async def ids(kpis: Kpis, path: str, **headers: str) -> list[str]:
    answer = await kpis.client.get(path, headers=kpis.headers | headers)
    return [kpi["id"] for kpi in answer.json()["items"]]


async def test_kpi_is_defined_read_and_computed(kpis: Kpis) -> None:
    await kpis.completed(uuid7(), 4_500_000)

    made = await post(kpis, MONTHLY)

    assert made.status_code == 201
    assert made.headers["ETag"] == '"1"'
    assert made.headers["Location"] == "/kpis/kpi_001"
    read = await kpis.client.get("/kpis/kpi_001", headers=kpis.headers)
    assert read.json() == MONTHLY | {"version": 1}
    assert await kpis.value("kpi_001") == {
        "id": "kpi_001",
        "name": "Ventas Mensuales",
        "month": "2026-11",
        "value": 4_500_000,
        "columns": ["sum"],
        "units": ["cents"],
        "rows": [[4_500_000]],
    }


async def test_every_tenant_has_the_shipped_kpis_and_its_own(kpis: Kpis) -> None:
    await post(kpis, MONTHLY)
    await post(kpis, MONTHLY | {"id": "kpi_002", "status": "inactive"})

    assert await ids(kpis, "/kpis/active") == sorted([*SHIPPED, "kpi_001"])
    assert await ids(kpis, "/kpis") == sorted([*SHIPPED, "kpi_001", "kpi_002"])
    other = {"X-Tenant-Id": f"{kpis.tenant}-other"}
    assert await ids(kpis, "/kpis/active", **other) == SHIPPED
    for path in ("/kpis/kpi_001", "/kpis/kpi_001/value?month=2026-11"):
        assert (await kpis.client.get(path, headers=other)).status_code == 404


async def test_pages_of_kpis_follow_each_other(kpis: Kpis) -> None:
    found: list[str] = []
    path: str | None = "/kpis?limit=3"
    while path:
        answer = await kpis.client.get(path, headers=kpis.headers)
        found += [kpi["id"] for kpi in answer.json()["items"]]
        path = answer.links["next"]["url"] if "next" in answer.links else None

    assert found == SHIPPED


async def test_change_needs_the_version_that_was_read(kpis: Kpis) -> None:
    await post(kpis, MONTHLY)

    assert (await patch(kpis, "kpi_001", {"name": "A"}, None)).status_code == 428
    assert (await patch(kpis, "kpi_001", {"name": "A"}, '"2"')).status_code == 412
    changed = await patch(kpis, "kpi_001", {"name": "A", "status": "inactive"}, '"1"')

    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    assert changed.json() == MONTHLY | {"name": "A", "status": "inactive", "version": 2}
    assert (await patch(kpis, "kpi_001", {"name": "B"}, '"1"')).status_code == 412
    same = await patch(kpis, "kpi_001", {"name": "A"}, "2")
    assert same.headers["ETag"] == '"2"'


async def test_shipped_kpi_changed_by_a_tenant_stays_as_it_was_for_others(kpis: Kpis) -> None:
    changed = await patch(kpis, "conversion", {"status": "inactive"}, '"1"')

    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    assert "conversion" not in await ids(kpis, "/kpis/active")
    other = {"X-Tenant-Id": f"{kpis.tenant}-other"}
    assert await ids(kpis, "/kpis/active", **other) == SHIPPED
    again = await patch(kpis, "conversion", {"status": "active"}, '"2"')
    assert again.json()["version"] == 3


@pytest.mark.parametrize("kpi_id", ["kpi_001", "payouts_due"])
async def test_of_changes_at_once_to_one_version_one_is_made(kpis: Kpis, kpi_id: str) -> None:
    await post(kpis, MONTHLY)

    answers = await asyncio.gather(
        *(patch(kpis, kpi_id, {"name": f"name {n}"}, '"1"') for n in range(5))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412]


async def test_of_definitions_of_one_id_at_once_one_is_kept(kpis: Kpis) -> None:
    answers = await asyncio.gather(*(post(kpis, MONTHLY | {"name": f"name {n}"}) for n in range(5)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_id_of_a_shipped_kpi_is_taken(kpis: Kpis) -> None:
    assert (await post(kpis, MONTHLY | {"id": "conversion"})).status_code == 409


async def test_definition_sent_again_with_its_key_is_answered_again(kpis: Kpis) -> None:
    first = await post(kpis, MONTHLY, **{"Idempotency-Key": "a"})
    second = await post(kpis, MONTHLY, **{"Idempotency-Key": "a"})

    assert second.headers["Idempotency-Replayed"] == "true"
    assert (second.status_code, second.content) == (first.status_code, first.content)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "active"},
        {"id": "KPI"},
        {"id": "a" * 65},
        {"name": ""},
        {"name": "a\x00b"},
        {"status": "perhaps"},
        {"sql_template": "SELECT amount FROM sales WHERE month = 5"},
        {"sql_template": "SELECT SUM(month) FROM sales"},
        {"sql_template": "SELECT pg_sleep(1)"},
        {"tenant_id": "other"},
        {"version": 7},
    ],
    ids=str,
)
async def test_definition_with_something_wrong_is_refused(
    kpis: Kpis, wrong: dict[str, Any]
) -> None:
    answer = await post(kpis, MONTHLY | wrong)

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert await ids(kpis, "/kpis") == SHIPPED


async def test_owner_is_who_defines_it_unless_named(kpis: Kpis) -> None:
    body = {name: value for name, value in MONTHLY.items() if name != "owner"}

    assert (await post(kpis, body)).json()["owner"] == "anonymous"


async def test_kpi_of_a_month_asked_without_one_says_so(kpis: Kpis) -> None:
    answer = await kpis.client.get("/kpis/conversion/value", headers=kpis.headers)

    assert answer.status_code == 422
    assert answer.json()["field"] == "month"


async def test_roles_decide_who_reads_and_who_defines(
    kpis_database: Database, issuer: Issuer
) -> None:
    settings = settings_for(kpis_database, auth="on", jwks_url=str(issuer.jwks))

    def caller(role: str) -> dict[str, str]:
        return {**headers_of(issuer, role, tenant="t"), "If-Match": "9"}

    requests: list[tuple[str, str, Any, set[str]]] = [
        ("GET", "/kpis", None, {"operator", "admin"}),
        ("GET", "/kpis/active", None, {"operator", "admin"}),
        ("GET", "/kpis/conversion", None, {"operator", "admin"}),
        ("GET", "/kpis/payouts_due/value", None, {"operator", "admin"}),
        ("POST", "/kpis", {**MONTHLY, "sql_template": "nonsense"}, {"admin"}),
        ("PATCH", "/kpis/conversion", {"name": "A"}, {"admin"}),
    ]
    async with serving(build(settings)) as client:
        for method, path, body, allowed in requests:
            assert (await client.request(method, path, json=body)).status_code == 401
            for role in ("buyer", "seller", "operator", "admin"):
                answer = await client.request(method, path, json=body, headers=caller(role))
                assert (answer.status_code != 403) == (role in allowed), (method, path, role)


async def trial(kpis: Kpis, template: str, month: str | None = None) -> httpx.Response:
    body = {"sql_template": template, "month": month}
    return await kpis.client.post("/kpis/trial", json=body, headers=kpis.headers)


async def test_a_template_is_tried_and_nothing_is_kept(kpis: Kpis) -> None:
    await kpis.completed(uuid7(), 4_500_000)
    before = await ids(kpis, "/kpis")

    tried = await trial(kpis, MONTHLY["sql_template"], "2026-11")

    assert tried.status_code == 200
    assert tried.json() == {"columns": ["sum"], "units": ["cents"], "rows": [[4_500_000]]}
    assert await ids(kpis, "/kpis") == before
    for template, code in (
        ("SELECT SUM(amonut) AS s FROM sales", "template-unknown-column"),
        ("SELECT 1 / 0 AS n FROM sales", "kpi-not-computable"),
        (MONTHLY["sql_template"], "month-missing"),
    ):
        refused = await trial(kpis, template)
        assert refused.status_code == 422
        problem = refused.json()
        assert problem.get("errors", [problem])[0]["code"] == code


async def test_the_views_a_template_may_read_are_listed(kpis: Kpis) -> None:
    answer = await kpis.client.get("/kpis/views", headers=kpis.headers)
    views = {each["name"]: each["columns"] for each in answer.json()["items"]}
    for name, columns in views.items():
        assert (await trial(kpis, f"SELECT {', '.join(columns)} FROM {name}")).status_code == 200
    assert (await post(kpis, MONTHLY | {"id": "views"})).status_code == 422


async def test_the_time_zone_of_the_months_is_shown(kpis: Kpis) -> None:
    answer = await kpis.client.get("/kpis/active", headers=kpis.headers)
    assert answer.json()["time_zone"] == "America/Sao_Paulo"
