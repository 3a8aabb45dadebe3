"""A user has one customer record, although answers are lost and data is corrected."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from libs.kernel.ids import uuid7
from services.tokens import Issuer
from tests.fixtures.callers import caller
from tests.fixtures.services import ServiceClient
from tests.integration.customers.conftest import STARTING_LIMIT
from tests.integration.customers.purchases import ANA, BRUNO

PROBLEM = "urn:mercado-veiculo:problem:"
CORRECTED = {**ANA, "phone": "+5511999990000"}


@pytest.fixture
def headers(issuer: Issuer) -> Any:
    def make(*roles: str, user: UUID) -> dict[str, str]:
        return caller(issuer, *roles, subject=user)

    return make


async def test_sent_again_with_a_correction_it_is_the_same_record_corrected(
    guarded: ServiceClient, headers: Any
) -> None:
    """No key that may expire is involved, so the user may send it again at any time after a lost
    answer.
    """
    user = uuid7()
    path, own = f"/users/{user}/customer", headers("buyer", user=user)
    first = await guarded.put(path, json=ANA, headers=own)
    assert (first.status_code, first.json()["credit_limit_cents"]) == (201, STARTING_LIMIT)
    assert first.headers["Location"] == f"/customers/{first.json()['id']}"
    same = await guarded.put(path, json=ANA, headers=own)
    assert (same.status_code, same.json()) == (200, first.json())
    corrected = await guarded.put(path, json=CORRECTED, headers=own)
    assert (corrected.status_code, corrected.json()["id"]) == (200, first.json()["id"])
    assert corrected.json()["phone"].endswith("0000")
    assert corrected.headers["ETag"] == '"2"'


async def test_to_know_a_document_gives_nobody_its_record(
    guarded: ServiceClient, headers: Any
) -> None:
    ana, stranger = uuid7(), uuid7()
    mine = headers("buyer", user=ana)
    await guarded.put(f"/users/{ana}/customer", json=ANA, headers=mine)
    for person in (stranger, uuid7()):
        answer = await guarded.put(
            f"/users/{person}/customer", json=ANA, headers=headers("buyer", user=person)
        )
        assert (answer.status_code, answer.json()["type"]) == (409, PROBLEM + "document-taken")
    as_ana = await guarded.put(
        f"/users/{ana}/customer", json=BRUNO, headers=headers("buyer", user=stranger)
    )
    assert as_ana.status_code == 403


async def test_a_record_an_admin_has_made_is_not_taken_over_by_its_document(
    guarded: ServiceClient, headers: Any
) -> None:
    made = await guarded.post("/customers", json=ANA, headers=headers("admin", user=uuid7()))
    assert made.status_code == 201
    user = uuid7()
    answer = await guarded.put(
        f"/users/{user}/customer", json=ANA, headers=headers("buyer", user=user)
    )
    assert (answer.status_code, answer.json()["type"]) == (409, PROBLEM + "document-taken")


async def test_another_document_is_refused_and_named(guarded: ServiceClient, headers: Any) -> None:
    user = uuid7()
    path, own = f"/users/{user}/customer", headers("buyer", user=user)
    await guarded.put(path, json=ANA, headers=own)
    other = await guarded.put(path, json={**ANA, "document": BRUNO["document"]}, headers=own)
    assert other.status_code == 409
    assert other.json()["type"] == PROBLEM + "registered-with-another-document"
    assert other.json()["field"] == "document"


async def test_sent_many_times_at_once_it_is_one_record(
    guarded: ServiceClient, headers: Any
) -> None:
    user = uuid7()
    own = headers("buyer", user=user)
    answers = await asyncio.gather(
        *(guarded.put(f"/users/{user}/customer", json=ANA, headers=own) for _ in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_an_erased_user_record_names_no_user_any_more(
    guarded: ServiceClient, headers: Any
) -> None:
    user = uuid7()
    own, admin = headers("buyer", user=user), headers("admin", user=uuid7())
    made = (await guarded.put(f"/users/{user}/customer", json=ANA, headers=own)).json()
    erased = await guarded.delete(f"/customers/{made['id']}", headers=admin)
    assert erased.status_code == 204, erased.text
    again = await guarded.put(f"/users/{user}/customer", json=ANA, headers=own)
    assert again.status_code == 201
    assert again.json()["id"] != made["id"]
