"""Payments and payouts that need attention are listed; staff settle them in their own
name, with an audit.
"""

from typing import Any

import pytest

from libs.kernel.ids import uuid7
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import Enter
from tests.integration.portal.pages import Behind, error_of, field_of, submit

ORDER = str(uuid7())
NONE: dict[str, Any] = {"items": [], "next": None}


def payment(state: str, **changed: Any) -> dict[str, Any]:
    return {
        "payment_id": str(uuid7()),
        "order_id": ORDER,
        "state": state,
        "amount_cents": 98_900_00,
        "needs_attention": True,
        "attempts": 5,
        "refund_error": None,
        "reason": None,
        **changed,
    }


def payout(status: str, **changed: Any) -> dict[str, Any]:
    return {
        "external_id": "bonus-1",
        "order_id": None,
        "status": status,
        "amount_cents": 5_000,
        "needs_attention": True,
        "attempts": 3,
        "reason": None,
        **changed,
    }


@pytest.fixture
async def operator(portal: ServiceClient, enter: Enter) -> ServiceClient:
    await enter("operator")
    return portal


def waits(behind: Behind, service: str, row: dict[str, Any]) -> str:
    """Make one payment or payout wait for a person. Returns the path of its page."""
    for name in ("payments", "payouts"):
        items = [row] if name == service else []
        behind.says(f"{name} GET /{name}", {"items": items, "next": None})
    name = row["payment_id"] if service == "payments" else row["external_id"]
    behind.says(f"{service} GET /{service}/{name}", row, ETag='"7"')
    return f"/operations/attention/{service}/{name}"


async def test_a_call_that_waits_for_a_person_is_listed_with_its_purchase(
    operator: ServiceClient, behind: Behind
) -> None:
    path = waits(behind, "payments", payment("PROCESSING"))
    listed = (await operator.get("/operations")).text
    assert "A charge without an answer" in listed
    assert f'href="/purchases/{ORDER}"' in listed
    assert f'href="{path}"' in listed
    assert behind.sent("payments GET /payments")[0].url.params["needs_attention"] == "true"


async def test_an_admin_who_is_no_operator_decides_about_no_money(
    portal: ServiceClient, enter: Enter, behind: Behind
) -> None:
    path = waits(behind, "payments", payment("PROCESSING"))
    await enter("admin")
    assert "Waiting for a person" not in (await portal.get("/operations")).text
    assert (await portal.get(path)).status_code == 403


@pytest.mark.parametrize(
    ("service", "row", "typed", "sent", "audited"),
    [
        (
            "payments",
            payment("PROCESSING"),
            {"outcome": "moved", "reference": "ch_1"},
            {"outcome": "charged", "reference": "ch_1"},
            "charge.settled",
        ),
        (
            "payments",
            payment("PROCESSING"),
            {"outcome": "not_moved", "reference": "typed before it was known"},
            {"outcome": "not_charged"},
            "charge.settled",
        ),
        (
            "payments",
            payment("REFUND_FAILED", refund_error="account closed"),
            {"reference": "pix-1"},
            {"reference": "pix-1"},
            "refund.settled",
        ),
        (
            "payouts",
            payout("PENDING"),
            {"outcome": "moved", "reference": "tr_1"},
            {"outcome": "paid", "reference": "tr_1"},
            "transfer.settled",
        ),
    ],
)
async def test_the_finding_of_a_person_goes_to_the_service_and_into_the_audits(
    operator: ServiceClient,
    behind: Behind,
    service: str,
    row: dict[str, Any],
    typed: dict[str, str],
    sent: dict[str, str],
    audited: str,
) -> None:
    path = waits(behind, service, row)
    page = await operator.get(path)
    what = "/charge/settle" if audited.startswith("charge") else "/settle"
    what = "/refund/settle" if audited.startswith("refund") else what
    name = path.rpartition("/")[2]
    call = f"{service} POST /{service}/{name}{what}"
    behind.says(call, row)
    typed = {**typed, "note": "seen in the books", "version": field_of(page, "version")}
    answer = await submit(operator, page, f"{path}/settle", **typed, key=field_of(page, "key"))
    assert answer.headers["location"] == "/operations"
    assert behind.bodies(call) == [{**sent, "note": "seen in the books"}]
    assert behind.sent(call)[0].headers["If-Match"] == '"7"'
    audits = (await operator.get(f"/audits?action={audited}")).text
    assert name in audits
    assert "seen in the books" in audits


@pytest.mark.parametrize(
    ("service", "row", "what", "audited"),
    [
        ("payments", payment("REFUND_FAILED"), "/refund/retry", "refund.retried"),
        ("payouts", payout("FAILED", reason="account closed"), "/retry", "payout.retried"),
    ],
)
async def test_a_failure_is_tried_again(
    operator: ServiceClient,
    behind: Behind,
    service: str,
    row: dict[str, Any],
    what: str,
    audited: str,
) -> None:
    path = waits(behind, service, row)
    page = await operator.get(path)
    name = path.rpartition("/")[2]
    behind.says(f"{service} POST /{service}/{name}{what}", row, 202)
    answer = await submit(operator, page, f"{path}/retry", version='"7"', key="k")
    assert answer.headers["location"] == "/operations"
    assert name in (await operator.get(f"/audits?action={audited}")).text


async def test_a_missing_value_is_said_beside_its_field_and_nothing_is_sent(
    operator: ServiceClient, behind: Behind
) -> None:
    path = waits(behind, "payments", payment("PROCESSING"))
    page = await operator.get(path)
    answer = await submit(operator, page, f"{path}/settle", outcome="moved", version='"7"')
    assert answer.status_code == 422
    assert error_of(answer, "reference") == "Money that has moved has a reference."
    assert error_of(answer, "note") == "This is missing."
    none = await submit(operator, page, f"{path}/settle", note="seen", version='"7"')
    assert "Choose one." in none.text
    assert not [call for call, _ in behind.calls if " POST " in call]


@pytest.mark.parametrize(
    ("status", "code", "said", "audits"),
    [
        (412, "stale-version", "It has changed in the meantime", 0),
        (409, "charge-in-flight", "A call is under way at this moment", 0),
        (409, "charge-not-unanswered", "The service refused it", 1),
        (None, "", "check whether it was recorded", 1),
    ],
)
async def test_an_action_that_was_not_recorded_is_reported(
    operator: ServiceClient, behind: Behind, status: int | None, code: str, said: str, audits: int
) -> None:
    row = payment("PROCESSING")
    path = waits(behind, "payments", row)
    page = await operator.get(path)
    if status is not None:
        call = f"payments POST /payments/{row['payment_id']}/charge/settle"
        behind.refuses(call, status, code, "no")
    typed = {"outcome": "not_moved", "note": "seen", "version": '"7"'}
    answer = await submit(operator, page, f"{path}/settle", **typed)
    assert said in (await operator.get(answer.headers["location"])).text
    found = (await operator.get("/audits?action=charge.settled")).text
    assert found.count(row["payment_id"]) == audits


async def test_a_case_that_waits_no_more_leads_back(
    operator: ServiceClient, behind: Behind
) -> None:
    path = waits(behind, "payments", payment("PROCESSED", needs_attention=False))
    answer = await operator.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/operations")
    assert (await operator.get("/operations/attention/orders/x")).status_code == 404


async def test_a_form_with_hidden_fields_that_no_header_can_carry_is_refused(
    operator: ServiceClient, behind: Behind
) -> None:
    path = waits(behind, "payments", payment("REFUND_FAILED"))
    page = await operator.get(path)
    answer = await submit(operator, page, f"{path}/retry", version='"é"', key="k")
    assert (answer.status_code, answer.headers["location"]) == (303, "/operations")
    assert not [call for call, _ in behind.calls if " POST " in call]
