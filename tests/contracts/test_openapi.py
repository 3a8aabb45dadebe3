"""The OpenAPI documents are valid, and contain what the author of a client needs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from deploy.services import SERVICES
from libs.runtime.problems import status_of, title_of
from tests.contracts.test_refusals import refusals_of
from tests.fixtures.documents import openapi_of

Json = dict[str, Any]

OPEN = {"get_health", "get_keys", "sign_in"}
"""The portal demands a sign-in everywhere but here."""
each_service = pytest.mark.parametrize("service", [spec.name for spec in SERVICES])


def operations(document: Json) -> Iterator[Json]:
    for operations in document["paths"].values():
        yield from operations.values()


@each_service
@pytest.mark.parametrize("auth", ["on", "off"])
def test_a_document_is_valid_openapi_3_1(service: str, auth: str, tmp_path: Path) -> None:
    document = openapi_of(service, tmp_path, auth=auth)
    assert document["openapi"].startswith("3.1.")
    validate(document, cls=OpenAPIV31SpecValidator)


@each_service
def test_operations_are_named_and_described_for_people(service: str, tmp_path: Path) -> None:
    document = openapi_of(service, tmp_path)
    names = [each["operationId"] for each in operations(document)]
    assert len(names) == len(set(names))
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []
    assert [name for name in names if re.search(r"_(get|post|put|patch|delete)$", name)] == []
    assert [each["operationId"] for each in operations(document) if not each["description"]] == []
    assert document["servers"] == [{"url": "/", "description": "Where this document was read."}]
    assert document["info"]["description"]
    described = {each["name"] for each in document["tags"] if each.get("description")}
    assert {tag for each in operations(document) for tag in each["tags"]} == described


@each_service
def test_security_is_what_auth_says(service: str, tmp_path: Path) -> None:
    with_tokens = {
        each["operationId"]: each["security"] for each in operations(openapi_of(service, tmp_path))
    }
    asked = {name for name, security in with_tokens.items() if security}
    assert with_tokens.keys() - asked == (OPEN if service == "portal" else set())
    without = openapi_of(service, tmp_path, auth="off")
    if service != "portal":  # the portal always demands a sign-in
        assert all(each["security"] == [] for each in operations(without))
        assert "securitySchemes" not in without["components"]
        assert all(security == [{"bearer": []}] for security in with_tokens.values())


def test_a_change_in_a_session_needs_its_cookie_and_the_csrf_token(tmp_path: Path) -> None:
    document = openapi_of("portal", tmp_path)
    security = {each["operationId"]: each["security"] for each in operations(document)}
    assert security["make_token"] == [{"csrf": [], "session": []}]
    assert security["list_sessions"] == [{"session": []}]
    assert security["list_audits"] == [{"bearer": []}, {"session": []}]
    assert set(document["components"]["securitySchemes"]) == {"bearer", "csrf", "session"}


@each_service
def test_every_code_is_listed_under_its_status_with_a_title_of_its_own(
    service: str, tmp_path: Path
) -> None:
    listed = {
        int(status): answer["content"]["application/problem+json"]["examples"]
        for status, answer in openapi_of(service, tmp_path)["components"]["responses"].items()
    }
    for kind in refusals_of(service):
        examples = listed.get(status_of(kind))
        if examples is not None:
            example = examples[kind.code]["value"]
            assert example["title"] == title_of(kind.code)
            assert example["type"] == f"urn:mercado-veiculo:problem:{kind.code}"
    titles = [each["value"]["title"] for examples in listed.values() for each in examples.values()]
    assert len(titles) == len(set(titles))


def test_headers_of_answers_are_declared(tmp_path: Path) -> None:
    orders = openapi_of("orders", tmp_path)["paths"]
    created = orders["/orders"]["post"]["responses"]["201"]["headers"]
    assert set(created) == {"ETag", "Location", "Idempotency-Replayed"}
    assert set(orders["/orders"]["get"]["responses"]["200"]["headers"]) == {"Link"}
    assert set(orders["/purchase"]["post"]["responses"]["202"]["headers"]) == {
        "Location",
        "Idempotency-Replayed",
    }
    responses = openapi_of("portal", tmp_path)["components"]["responses"]
    assert responses["429"]["headers"]["Retry-After"]["required"]
    assert responses["503"]["headers"]["Retry-After"]["required"]
    assert "required" not in responses["409"]["headers"]["Retry-After"]
