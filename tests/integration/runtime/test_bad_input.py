"""Every refusal is a problem+json that names the field or the rule and echoes no value."""

import json
from typing import Any

import httpx
import pytest

from tests.fixtures.services import ServiceClient

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def notes(shared_notes: ServiceClient) -> ServiceClient:
    """Return one service for all tests, because no test here changes anything."""
    return shared_notes


URN = "urn:notes:problem:"
SECRET = "maria@example.com"


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == URN + code
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem


def fields(problem: dict[str, Any]) -> set[str]:
    assert all(error["message"] for error in problem["errors"])
    return {error["field"] for error in problem["errors"]}


@pytest.mark.parametrize(
    "content", ["{", "", "{'a': 1}", b"\xff\xfe", b'{"text": "\xc3"}', "[" * 60_000]
)
async def test_a_body_that_is_no_json_is_refused(
    notes: ServiceClient, content: str | bytes
) -> None:
    answer = await notes.post("/notes", content=content)
    assert answer.status_code == (422 if content == "" else 400)
    assert answer.json()["type"].startswith(URN)


@pytest.mark.parametrize("content", ["{", b"\xff\xfe", "[" * 60_000])
async def test_a_body_that_is_no_json_is_refused_under_a_key_too(
    notes: ServiceClient, content: str | bytes
) -> None:
    answer = await notes.post("/notes", content=content, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"text": ""}, "text"),
        ({"text": 5}, "text"),
        ({"text": None}, "text"),
        ({"text": "a\x00b"}, "text"),
        ({"text": "\ud800"}, "text"),
        ({"text": "x" * 201}, "text"),
        ({"text": "a", "cents": -1}, "cents"),
        ({"text": "a", "cents": 2**63}, "cents"),
        ({"text": "a", "cents": 1.5}, "cents"),
        ({"text": "a", "cents": True}, "cents"),
        ({"text": "a", "cents": "5"}, "cents"),
        ({"text": "a", "count": 2**63}, "count"),
        ({"text": "a", "count": -(2**64)}, "count"),
        ({"text": "a", "unknown": 1}, "unknown"),
        ([], "body"),
        ("text", "body"),
        (None, "body"),
    ],
)
async def test_a_wrong_field_is_named(notes: ServiceClient, body: object, field: str) -> None:
    answer = await notes.post("/notes", content=json.dumps(body))
    assert fields(assert_problem(answer, 422, "invalid-input")) == {field}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400", "1" * 5000])
async def test_a_number_that_is_none_is_refused(notes: ServiceClient, number: str) -> None:
    answer = await notes.post("/notes", content=f'{{"text": "a", "cents": {number}}}')
    assert answer.status_code in (400, 422)
    assert answer.json()["type"].startswith(URN)


async def test_the_input_is_not_echoed(notes: ServiceClient) -> None:
    body = {"text": [SECRET], "cents": SECRET, "count": SECRET}
    answer = await notes.post("/notes", json=body)
    assert fields(assert_problem(answer, 422, "invalid-input")) == {"text", "cents", "count"}
    assert SECRET not in answer.text
    path = await notes.patch(f"/notes/{SECRET}", json={"text": "a"}, headers={"If-Match": "1"})
    assert fields(assert_problem(path, 422, "invalid-input")) == {"note_id"}
    assert SECRET not in path.text


async def test_of_many_errors_only_the_first_are_reported(notes: ServiceClient) -> None:
    answer = await notes.post("/notes", json={f"unknown{n}": n for n in range(1000)})
    assert len(assert_problem(answer, 422, "invalid-input")["errors"]) == 20


async def test_an_unknown_path_is_a_problem(notes: ServiceClient) -> None:
    assert_problem(await notes.get("/nowhere"), 404, "no-such-path")


async def test_a_wrong_method_is_a_problem_and_names_the_right_ones(
    notes: ServiceClient,
) -> None:
    answer = await notes.delete("/notes")
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == "GET, POST"


async def test_a_compressed_body_is_refused(notes: ServiceClient) -> None:
    headers = {"Content-Encoding": "gzip"}
    answer = await notes.post("/notes", content=b"\x1f\x8b", headers=headers)
    assert_problem(answer, 415, "unsupported-encoding")


@pytest.mark.parametrize("path", ["broken", "missing-file", "slow-peer"])
async def test_a_fault_of_an_endpoint_is_500_and_shows_nothing_of_the_inside(
    notes: ServiceClient, path: str
) -> None:
    answer = await notes.get(f"/notes/{path}")
    assert_problem(answer, 500, "internal")
    assert "secret" not in answer.text


@pytest.mark.parametrize("value", [str(2**63), "-" + "9" * 30])
async def test_a_query_number_beyond_postgres_is_refused(notes: ServiceClient, value: str) -> None:
    answer = await notes.get("/notes/number", params={"value": value})
    assert_problem(answer, 422, "invalid-input")


async def test_nul_in_a_query_is_refused(notes: ServiceClient) -> None:
    answer = await notes.get("/notes", params={"containing": "a\x00b"})
    assert_problem(answer, 422, "invalid-input")


async def test_a_wrong_header_is_named_as_it_is_written(notes: ServiceClient) -> None:
    answer = await notes.get("/notes/number?value=1", headers={"X-Count": "many"})
    assert fields(assert_problem(answer, 422, "invalid-input")) == {"X-Count"}


@pytest.mark.parametrize("tenant", ["", "a b", "../x", "t" * 65, b"\xe9t\xe9", b"a\x00"])
async def test_a_tenant_that_is_no_name_is_refused(
    notes: ServiceClient, tenant: str | bytes
) -> None:
    raw = tenant if isinstance(tenant, bytes) else tenant.encode()
    answer = await notes.get("/notes", headers=httpx.Headers([(b"X-Tenant-Id", raw)]))
    assert assert_problem(answer, 400, "bad-request")["field"] == "X-Tenant-Id"


async def test_a_tenant_is_required_where_it_says_so(notes: ServiceClient) -> None:
    headers = {"Idempotency-Key": "k"}
    answer = await notes.post("/notes/required", json={"text": "a"}, headers=headers)
    assert assert_problem(answer, 400, "bad-request")["field"] == "X-Tenant-Id"


async def test_a_domain_refusal_carries_its_own_type(notes: ServiceClient) -> None:
    answer = await notes.post("/notes", json={"text": "refuse"})
    assert assert_problem(answer, 409, "note-refused")["field"] == "text"
    assert (await notes.get("/notes")).json()["items"] == []
