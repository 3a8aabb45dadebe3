"""The services' choreography is consistent, and its documents are not stale."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.installation import VHOST
from libs.messaging.saga import asyncapi, discovery, pictures, rules
from libs.messaging.saga.choreography import Choreography, choreography_of
from libs.messaging.saga.participant import Participant
from libs.runtime.settings import CHOREOGRAPHY

ROOT = Path(__file__).parents[2]
ASYNCAPI = ROOT / "docs" / "asyncapi"


@pytest.fixture(scope="module")
def participants() -> list[Participant]:
    return discovery.load(discovery.named_participants([], ROOT / "pyproject.toml"))


@pytest.fixture(scope="module")
def choreography(participants: list[Participant]) -> Choreography:
    return choreography_of(participants)


def test_every_event_is_consumed_every_reaction_has_its_event_and_every_step_its_compensation(
    choreography: Choreography,
) -> None:
    assert rules.check(choreography) == []


def test_the_written_choreography_is_what_the_code_does(choreography: Choreography) -> None:
    assert discovery.document_path(None, ROOT / "pyproject.toml") == CHOREOGRAPHY
    stale = f"{CHOREOGRAPHY} is stale: run the command choreography"
    assert CHOREOGRAPHY.read_text() == choreography.as_text(), stale


def test_drawing_and_tables_are_what_the_code_does(choreography: Choreography) -> None:
    for path, text in pictures.sections(choreography, ROOT).items():
        assert path.read_text() == text, f"{path} is stale: run the command choreography"


def test_the_asyncapi_documents_are_what_the_code_does(participants: list[Participant]) -> None:
    written = asyncapi.files(participants, ASYNCAPI, vhost=VHOST)
    for path, text in written.items():
        assert path.read_text() == text, f"{path} is stale: run the command choreography"


@pytest.mark.parametrize("path", sorted(ASYNCAPI.glob("*.json")), ids=lambda path: path.stem)
def test_every_reference_of_an_asyncapi_document_leads_somewhere(path: Path) -> None:
    document = json.loads(path.read_text())
    found = list(references(document))
    assert found
    for reference in found:
        name, _, pointer = reference.partition("#/")
        there = json.loads((ASYNCAPI / name).read_text()) if name else document
        for part in pointer.split("/"):
            assert part in there, reference
            there = there[part]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)
