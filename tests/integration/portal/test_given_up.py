"""The pages list events that relays gave up; operators release them in their own
name, with an audit.
"""

from typing import Any
from uuid import UUID

import pytest

from libs.kernel.ids import uuid7
from services.portal.infrastructure.peers.probes import Probes, ServiceState
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import Enter, execute
from tests.integration.portal.pages import Behind, submit

LIST = "orders GET /outbox/given-up"
PURCHASE = """
INSERT INTO subjects
    (id, tenant_id, kind, started_at, state, sequence, position, payout_heard)
VALUES ($1, 'default', 'purchase', now(), 'OPEN', 0, 0, false)
"""


@pytest.fixture
async def operator(
    portal: ServiceClient, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> ServiceClient:
    """Return the portal with an operator signed in. Orders says that it gave something up."""

    async def states(_: Probes) -> list[ServiceState]:
        return [ServiceState("orders", alive=True, ready=True, outbox_given_up=1)]

    monkeypatch.setattr(Probes, "states", states)
    await enter("operator")
    return portal


def event(**changed: Any) -> dict[str, Any]:
    return {
        "id": str(uuid7()),
        "type": "order.confirmed.v1",
        "subject": str(uuid7()),
        "created_at": "2026-01-01T00:00:00Z",
        "error": "older than the inbox remembers",
        "behind": 2,
        "needs_new_id": False,
        **changed,
    }


def sending(given_up: dict[str, Any]) -> str:
    return f"orders POST /outbox/given-up/{given_up['id']}/send-again"


PAGE = "/operations/given-up/orders"


async def test_a_given_up_event_is_listed_with_its_purchase_and_sent_again_with_an_audit(
    operator: ServiceClient, behind: Behind, portal_database: str
) -> None:
    found, other = event(), event(subject="vehicle-1")
    await execute(portal_database, PURCHASE, UUID(found["subject"]))
    behind.says(LIST, {"items": [found, other], "total": 3})
    page = await operator.get("/operations")
    assert found["error"] in page.text
    assert f'href="/purchases/{found["subject"]}"' in page.text
    assert 'href="/purchases/vehicle-1"' not in page.text
    assert "1 later one is not shown." in page.text
    behind.says(sending(found), {"id": found["id"], "new_id": None, "subject": found["subject"]})
    answer = await submit(operator, page, f"{PAGE}/send-again", message=found["id"])
    assert answer.headers["location"] == "/operations"
    assert behind.bodies(sending(found)) == [{"not_handled": False}]
    audits = (await operator.get("/audits?action=given_up.sent_again")).text
    assert found["id"] in audits
    assert found["subject"] in audits


async def test_a_letter_that_gets_a_new_id_is_sent_only_when_the_box_is_ticked(
    operator: ServiceClient, behind: Behind
) -> None:
    found, new_id = event(needs_new_id=True), str(uuid7())
    behind.says(LIST, {"items": [found], "total": 1})
    assert "Decide" in (await operator.get("/operations")).text
    page = await operator.get(f"{PAGE}?message={found['id']}")
    assert "no copy of it was handled" in page.text
    behind.refuses(sending(found), 409, "copy-may-be-handled", "no inbox knows")
    warned = await submit(operator, page, f"{PAGE}/send-again", message=found["id"])
    assert "Tick the box to confirm." in (await operator.get(warned.headers["location"])).text
    assert found["id"] not in (await operator.get("/audits")).text
    behind.says(sending(found), {"id": found["id"], "new_id": new_id, "subject": found["subject"]})
    ticked = {"message": found["id"], "not_handled": "yes"}
    await submit(operator, page, f"{PAGE}/send-again", **ticked)
    assert behind.bodies(sending(found))[-1] == {"not_handled": True}
    assert new_id in (await operator.get("/audits")).text


async def test_a_service_that_is_silent_or_has_sent_it_already_is_said_so(
    operator: ServiceClient, behind: Behind
) -> None:
    found = event()
    assert "orders is not answering" in (await operator.get("/operations")).text
    await operator.post(f"{PAGE}/send-again", data={"message": found["id"]})
    assert "check whether it was sent" in (await operator.get("/operations")).text
    assert found["id"] in (await operator.get("/audits?action=given_up.sent_again")).text
    gone = event()
    behind.refuses(sending(gone), 404, "given-up-event-not-found", "no such given-up event")
    await operator.post(f"{PAGE}/send-again", data={"message": gone["id"]})
    assert "no longer given up" in (await operator.get("/operations")).text
    assert gone["id"] not in (await operator.get("/audits")).text
