"""One refusal names every wrong field, whether its shape or a rule of the domain is broken."""

from typing import Any
from uuid import UUID

import pytest

from services.portal.domain.user import ROLES
from tests.fixtures.whole_market import WholeMarket, person

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOBODY = UUID(int=7)

WRONG: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "an order to be confirmed": (
        f"orders PATCH /orders/{NOBODY}/confirm",
        {"totalCents": 0, "colour": "red"},
        {"totalCents": "too-small", "colour": "unknown-field"},
    ),
    "a purchase": (
        "orders POST /purchase",
        {"customer_id": "me", "total_cents": 10**13},
        {"customer_id": "malformed", "vehicle_id": "missing", "total_cents": "too-large"},
    ),
    "a customer": (
        "customers POST /customers",
        {"name": " ", "email": "ana", "phone": "12", "document": "1", "credit_limit_cents": -1},
        {
            "name": "invalid-text",
            "email": "invalid-email",
            "phone": "invalid-phone",
            "document": "invalid-document",
            "credit_limit_cents": "too-small",
        },
    ),
    "changes of a customer": (
        f"customers PATCH /customers/{NOBODY}",
        {"name": None, "email": "ana", "phone": "x" * 255},
        {"name": "cannot-be-null", "email": "invalid-email", "phone": "too-long"},
    ),
    "a vehicle": (
        "vehicles POST /vehicles",
        {
            "make": "",
            "model": "x" * 61,
            "year": 1800,
            "colour": "\u0007",
            "price_cents": 0,
            "plate": "ABC",
            "chassis_number": "1HGCM82643A004352",
            "renavam": "12345678901",
        },
        {
            "make": "invalid-text",
            "model": "invalid-text",
            "year": "year-out-of-range",
            "colour": "invalid-text",
            "price_cents": "price-out-of-range",
            "plate": "invalid-plate",
            "chassis_number": "wrong-chassis-check-digit",
            "renavam": "wrong-renavam-check-digit",
            "seller_id": "missing",
        },
    ),
    "changes of a vehicle": (
        f"vehicles PATCH /vehicles/{NOBODY}",
        {"year": 3000, "plate": "1", "price_cents": "much", "colour": None},
        {
            "year": "year-out-of-range",
            "plate": "invalid-plate",
            "price_cents": "malformed",
            "colour": "cannot-be-null",
        },
    ),
    "filters": (
        "vehicles GET /vehicles?make=&year_min=new&order=colour",
        {},
        {"make": "invalid-text", "year_min": "malformed", "order": "not-one-of"},
    ),
    "a payment": (
        "payments POST /payments",
        {"code": "VHAJ-14WY-6FN9-WSAX", "method": "4111 1111"},
        {"code": "payment-code-mistyped", "method": "malformed"},
    ),
    "a payout": (
        "payouts POST /payouts",
        {"external_id": "order:1", "amount_cents": 0, "seller_id": "ana"},
        {
            "external_id": "external-id-reserved",
            "amount_cents": "too-small",
            "seller_id": "malformed",
        },
    ),
    "a KPI": (
        "kpis POST /kpis",
        {"id": "active", "name": "", "sql_template": "DELETE FROM sales", "status": "asleep"},
        {
            "id": "kpi-id-taken",
            "name": "too-short",
            "sql_template": "template-not-one-select",
            "status": "not-one-of",
        },
    ),
    "credentials": (
        "portal POST /api/sessions",
        {"email": "x" * 255, "password": 5, "colour": "red"},
        {"email": "too-long", "password": "malformed", "colour": "unknown-field"},
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_every_wrong_field_is_named_with_its_code(market: WholeMarket, name: str) -> None:
    call, body, wrong = WRONG[name]
    service, method, path = call.split()
    version = {"If-Match": "1"}
    answer = await market.ask(
        person(*ROLES, tenant="default"), service, method, path, json=body, headers=version
    )
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid-input"), answer.text
    assert problem["type"].endswith(":invalid-input")
    assert {each["field"]: each["code"] for each in problem["errors"]} == wrong
    assert all(each["message"] for each in problem["errors"])


async def test_parameters_of_a_rule_come_along(market: WholeMarket) -> None:
    answer = await market.ask(
        person(tenant="default"), "vehicles", "GET", "/vehicles?model=%20&price_max=-1"
    )
    found = {each["field"]: each["params"] for each in answer.json()["errors"]}
    assert found == {"model": {"most": 60}, "price_max": {"least": 0}}


async def test_all_unknown_parameters_are_named(market: WholeMarket) -> None:
    answer = await market.services["vehicles"].get("/vehicles?sort=price&page=2")
    assert answer.json()["params"]["name"] == "sort, page"
