"""The page of audits shows them in sentences with links, and finds them by person,
thing and time.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from libs.kernel.ids import uuid7
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Act, Result
from services.portal.infrastructure.store.postgres import Store
from services.portal.infrastructure.web.audit_view import ACTIONS
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import AddUser, Enter, signed_in
from tests.integration.portal.purchases import buy

PORTAL = Path(__file__).parents[3] / "services" / "portal"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


async def note(
    transactions: Store,
    action: str,
    target: str,
    *,
    actor: str = "terminal",
    at: datetime = NOON,
    **details: str | int,
) -> None:
    await transactions.run(
        lambda uow: record_audit(
            uow,
            act=Act("default", actor, uuid7(), at),
            action=action,
            target=target,
            result=Result.DONE,
            details=details,
        )
    )


@pytest.fixture
async def admin(portal: ServiceClient, enter: Enter) -> ServiceClient:
    await enter("admin")
    return portal


def numbers(page: httpx.Response) -> list[int]:
    assert page.status_code == 200, page.text
    return [int(each) for each in re.findall(r'data-label="No.">(\d+)<', page.text)]


async def search(client: ServiceClient, **typed: str) -> httpx.Response:
    answer = await client.post("/audits", data=typed)
    assert answer.status_code == 303
    return await client.get(answer.headers["location"])


async def test_entries_are_found_by_person_thing_action_and_day(
    admin: ServiceClient, transactions: Store, add_user: AddUser
) -> None:
    first = max(numbers(await admin.get("/audits")))
    ana = await add_user("operator", email="ana@example.com")
    order = uuid7()
    await note(transactions, "purchase.paid", str(order), actor=str(ana.id))
    await note(transactions, "dead_letter.redriven", str(uuid7()), subject=str(order))
    await note(transactions, "user.disabled", str(ana.id), at=NOON.replace(day=21))
    paid, redriven, disabled = first + 2, first + 3, first + 4
    assert numbers(await search(admin, person="operator silva")) == [paid]
    assert numbers(await search(admin, person="ANA@example.com")) == [paid]
    assert numbers(await search(admin, person="terminal")) == [disabled, redriven]
    assert numbers(await search(admin, person="nobody at all")) == []
    assert numbers(await search(admin, thing=str(order))) == [redriven, paid]
    assert disabled in numbers(await search(admin, thing="ana@example.com"))
    assert numbers(await search(admin, action="user.disabled")) == [disabled]
    day = {"since": "2026-11-20", "until": "2026-11-20"}
    assert numbers(await search(admin, **day)) == [redriven, paid]
    assert numbers(await search(admin, **day, person="terminal")) == [redriven]


async def test_input_about_a_person_is_not_in_the_address(
    admin: ServiceClient, add_user: AddUser
) -> None:
    ana = await add_user("buyer", email="ana@example.com")
    answer = await admin.post("/audits", data={"person": "ana@example.com", "action": "x"})
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert asked == {"actor": [str(ana.id)], "action": ["x"]}


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday&until=9999-12-31",
        "since=0001-01-01",
        "before=x",
        "actor=%00&about=%00&action=%00",
        "about=" + "x" * 5000,
    ],
)
async def test_a_search_that_makes_no_sense_breaks_nothing(
    admin: ServiceClient, query: str
) -> None:
    assert (await admin.get(f"/audits?{query}")).status_code == 200


async def test_an_entry_says_in_words_what_was_done_and_leads_to_it(
    admin: ServiceClient, transactions: Store, add_user: AddUser
) -> None:
    ana = await add_user("buyer", email="ana@example.com")
    order = await buy(transactions)
    await note(transactions, "refund.settled", "p", amount_cents=123_45, order=str(order))
    await note(transactions, "purchase.paid", str(order), actor=str(ana.id))
    page = (await admin.get("/audits")).text
    table = page.partition("<tbody>")[2]
    for text in (
        ">User created<",
        f'<a href="/users/{ana.id}"',
        ">Buyer Silva</a>",
        f'<a href="/purchases/{order}" title="{order}">Purchase</a>',
        "R$123.45",
        "roles: Buyer",
    ):
        assert text in table, text
    assert "user.created" not in table
    assert "amount_cents" not in table


async def test_an_operator_is_not_led_where_only_admins_may_go(
    admin: ServiceClient, add_user: AddUser
) -> None:
    await add_user("operator")
    admin.cookies.clear()
    await signed_in(admin, "operator@example.com")
    page = (await admin.get("/audits")).text
    assert "Admin Silva" in page
    assert "/users/" not in page


def test_every_action_that_is_recorded_has_words() -> None:
    """`ACTIONS` in the portal's web/audit_view.py is compared with what the code records."""
    code = "\n".join(path.read_text() for path in PORTAL.rglob("*.py"))
    recorded = set(re.findall(r'action="([a-z_]+\.[a-z_]+)"', code))
    recorded |= set(re.findall(r'\.audited\(\s*user,\s*"([a-z_]+\.[a-z_]+)"', code))
    assert len(recorded) > 15
    assert recorded <= ACTIONS.keys()
