"""Writes use optimistic locking, and lists use keyset pagination."""

import re
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.fixtures.services import ServiceClient

BODY = {"text": "changed"}


@pytest.fixture
def notes_database(emptied_database: str) -> str:
    return emptied_database


async def take(notes: ServiceClient, text: str = "a", tenant: str = "default") -> str:
    answer = await notes.post("/notes", json={"text": text}, headers={"X-Tenant-Id": tenant})
    assert answer.status_code == 201
    note_id: str = answer.json()["id"]
    return note_id


@pytest.mark.parametrize("value", ["1", '"1"', ' "1" '])
async def test_a_current_version_is_changed_and_gets_a_new_tag(
    notes: ServiceClient, value: str
) -> None:
    note = await take(notes)
    answer = await notes.patch(f"/notes/{note}", json=BODY, headers={"If-Match": value})
    assert answer.status_code == 200
    assert answer.headers["ETag"] == '"2"'


async def test_of_two_changes_of_one_version_the_second_is_refused(notes: ServiceClient) -> None:
    note = await take(notes)
    first = await notes.patch(f"/notes/{note}", json=BODY, headers={"If-Match": "1"})
    second = await notes.patch(f"/notes/{note}", json=BODY, headers={"If-Match": "1"})
    assert (first.status_code, second.status_code) == (200, 412)
    assert second.json()["type"] == "urn:notes:problem:stale-version"


@pytest.mark.parametrize("value", ['W/"1"', '"abc"', '""', '"' + "9" * 30 + '"', '"7"'])
async def test_a_tag_that_is_not_the_version_matches_nothing(
    notes: ServiceClient, value: str
) -> None:
    note = await take(notes)
    answer = await notes.patch(f"/notes/{note}", json=BODY, headers={"If-Match": value})
    assert answer.status_code == 412


@pytest.mark.parametrize("value", ["", "*", "one", '"1', "-1", "1.0", '"1", "2"', "9" * 30])
async def test_an_if_match_that_names_no_version_is_refused(
    notes: ServiceClient, value: str
) -> None:
    answer = await notes.patch(f"/notes/{uuid4()}", json=BODY, headers={"If-Match": value})
    assert answer.status_code == 400
    assert answer.json()["field"] == "If-Match"


async def test_if_match_is_required_on_updates_only(notes: ServiceClient) -> None:
    answer = await notes.patch(f"/notes/{uuid4()}", json=BODY)
    assert answer.status_code == 428
    assert answer.json()["field"] == "If-Match"
    closed = await notes.post(f"/notes/{uuid4()}/close")
    assert closed.json()["version"] is None


async def test_another_tenants_object_is_not_found(notes: ServiceClient) -> None:
    note = await take(notes, tenant="one")
    headers = {"If-Match": "1", "X-Tenant-Id": "two"}
    assert (await notes.patch(f"/notes/{note}", json=BODY, headers=headers)).status_code == 404


async def follow(notes: ServiceClient, path: str) -> list[dict[str, Any]]:
    """Return every page, by following the Link header."""
    pages, url = [], path
    while url:
        answer = await notes.get(url)
        assert answer.status_code == 200
        pages.append(answer.json())
        link = re.fullmatch(r'<(.+)>; rel="next"', answer.headers.get("Link", ""))
        assert bool(link) == (pages[-1]["next"] is not None)
        url = link[1] if link else ""
    return pages


async def test_pages_follow_each_other_without_gap_or_repeat(notes: ServiceClient) -> None:
    taken = [await take(notes, f"n{n}") for n in range(5)]
    pages = await follow(notes, "/notes?limit=2&containing=n")
    assert [len(page["items"]) for page in pages] == [2, 2, 1]
    seen = [item["id"] for page in pages for item in page["items"]]
    assert sorted(seen, key=UUID) == sorted(taken, key=UUID)


async def test_a_full_last_page_has_no_next(notes: ServiceClient) -> None:
    for n in range(2):
        await take(notes, f"n{n}")
    assert [len(page["items"]) for page in await follow(notes, "/notes?limit=2")] == [2]
    assert (await follow(notes, "/notes?containing=absent"))[0] == {"items": [], "next": None}


async def test_a_cursor_is_bound_to_tenant_and_filter(notes: ServiceClient) -> None:
    for n in range(2):
        await take(notes, f"n{n}")
    cursor = (await notes.get("/notes?limit=1&containing=n")).json()["next"]
    good = {"cursor": cursor, "containing": "n", "limit": "1"}
    assert (await notes.get("/notes", params=good)).status_code == 200
    other_filter = await notes.get("/notes", params={"cursor": cursor, "containing": "m"})
    other_tenant = await notes.get("/notes", params=good, headers={"X-Tenant-Id": "two"})
    for answer in (other_filter, other_tenant):
        assert answer.status_code == 400
        assert answer.json()["field"] == "cursor"


@pytest.mark.parametrize("change", ["flip", "cut", "", "!!!", "é", "AAAA", "x" * 5000])
async def test_a_forged_cursor_is_refused(notes: ServiceClient, change: str) -> None:
    for n in range(2):
        await take(notes, f"n{n}")
    cursor: str = (await notes.get("/notes?limit=1")).json()["next"]
    flipped = cursor[:-3] + ("A" if cursor[-3] != "A" else "B") + cursor[-2:]
    forged = {"flip": flipped, "cut": cursor[:-4]}.get(change, change)
    answer = await notes.get("/notes", params={"cursor": forged})
    assert answer.status_code == 400
    assert answer.json()["field"] == "cursor"


async def test_a_huge_limit_is_capped(notes: ServiceClient) -> None:
    for n in range(3):
        await take(notes, f"n{n}")
    answer = await notes.get("/notes", params={"limit": "9" * 40})
    assert len(answer.json()["items"]) == 3


@pytest.mark.parametrize("limit", ["0", "-1", "", "1.5", "ten", "٣", "000"])
async def test_a_limit_that_is_none_is_refused(notes: ServiceClient, limit: str) -> None:
    answer = await notes.get("/notes", params={"limit": limit})
    assert answer.status_code == 400
    assert answer.json()["field"] == "limit"
