"""Admins list requests for credit, and grant or decline them."""

from typing import Any

import httpx
import pytest

from libs.kernel.ids import uuid7
from services.portal.domain.user import User
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import Enter
from tests.integration.portal.pages import Behind, submit

LIST = "customers GET /credit-requests"


def asking(**changed: Any) -> dict[str, Any]:
    return {
        "id": str(uuid7()),
        "name": "Bia Silva",
        "email": "bia@example.com",
        "phone": "+5511987654321",
        "document": "52998224725",
        "credit_limit_cents": 50_000_00,
        "available_cents": 10_000_00,
        "version": 7,
        "credit_request": {
            "wanted_limit_cents": 98_900_00,
            "asked_at": "2026-11-27T09:00:00Z",
            "declined_at": None,
        },
        **changed,
    }


async def asked(portal: ServiceClient, behind: Behind) -> tuple[str, httpx.Response]:
    """Return the id of a customer who requests credit, and the page that shows the request."""
    who = asking()
    behind.says(LIST, {"items": [who], "next": None})
    return who["id"], await portal.get("/credit-requests")


@pytest.fixture
async def admin(enter: Enter) -> User:
    return await enter("admin")


async def test_the_list_shows_who_asks_for_what_and_leads_on(
    portal: ServiceClient, behind: Behind, admin: User
) -> None:
    behind.says(LIST, {"items": [asking(), asking(name=None)], "next": "more+of"})
    page = await portal.get("/credit-requests")
    assert page.status_code == 200
    assert dict(behind.sent(LIST)[0].url.params) == {"full": "true", "limit": "50"}
    for shown in ("Bia Silva", "bia@example.com", "R$98,900.00", "R$50,000.00", "R$10,000.00"):
        assert shown in page.text
    assert "cannot be read" in page.text
    assert 'href="/credit-requests?cursor=more%2Bof"' in page.text
    behind.says(LIST, {"items": [], "next": None})
    assert "Nobody waits for an answer" in (await portal.get("/credit-requests")).text
    behind.down("customers")
    assert (await portal.get("/credit-requests")).status_code == 503


async def test_a_limit_is_granted_on_the_version_that_was_shown(
    portal: ServiceClient, behind: Behind, admin: User
) -> None:
    who, page = await asked(portal, behind)
    call = f"customers PUT /customers/{who}/credit-limit"
    behind.says(call, {})
    place = f"/credit-requests/{who}/grant"
    answer = await submit(portal, page, place, version="7", limit="98.900,00")
    assert (answer.status_code, answer.headers["location"]) == (303, "/credit-requests")
    assert behind.bodies(call) == [{"limit_cents": 98_900_00}]
    assert behind.sent(call)[0].headers["If-Match"] == "7"
    assert "The new limit counts from now on." in (await portal.get("/credit-requests")).text


@pytest.mark.parametrize(("typed", "reason"), [("", "Write the limit"), ("x", "Write an amount")])
async def test_a_limit_that_cannot_be_read_is_named_beside_its_field(
    portal: ServiceClient, behind: Behind, admin: User, typed: str, reason: str
) -> None:
    who, page = await asked(portal, behind)
    place = f"/credit-requests/{who}/grant"
    answer = await submit(portal, page, place, version="7", limit=typed)
    assert answer.status_code == 422
    assert reason in answer.text
    assert f'id="wrong-{who}"' in answer.text


async def test_a_request_is_declined(portal: ServiceClient, behind: Behind, admin: User) -> None:
    who, page = await asked(portal, behind)
    call = f"customers POST /customers/{who}/credit-request/decline"
    behind.says(call, {})
    answer = await submit(portal, page, f"/credit-requests/{who}/decline", version="7")
    assert answer.status_code == 303
    assert behind.sent(call)[0].headers["If-Match"] == "7"


async def test_an_answer_to_a_request_that_has_changed_is_not_given(
    portal: ServiceClient, behind: Behind, admin: User
) -> None:
    who, page = await asked(portal, behind)
    call = f"customers POST /customers/{who}/credit-request/decline"
    behind.refuses(call, 412, "stale-version", "the customer is at version 8, not 7")
    await submit(portal, page, f"/credit-requests/{who}/decline", version="7")
    assert "flash--back" in (await portal.get("/credit-requests")).text


@pytest.mark.parametrize("role", ["buyer", "seller", "operator"])
async def test_the_list_is_for_admins_alone(
    portal: ServiceClient, behind: Behind, enter: Enter, role: str
) -> None:
    await enter(role)
    assert (await portal.get("/credit-requests")).status_code == 403
    assert 'href="/credit-requests"' not in (await portal.get("/account")).text
