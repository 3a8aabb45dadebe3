"""The services as they are fit together, and what is drawn of them is not stale."""

from pathlib import Path

import pytest

from libs.messaging.saga import asyncapi, choreography, discovery
from libs.messaging.saga.participant import Participant

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def participants() -> list[Participant]:
    return discovery.load(discovery.named_participants([], ROOT / "pyproject.toml"))


def test_every_event_is_heard_every_reaction_has_its_event_and_every_step_a_way_back(
    participants: list[Participant],
) -> None:
    assert choreography.check(participants) == []


def test_the_picture_in_the_readme_is_what_the_code_does(participants: list[Participant]) -> None:
    for path, text in choreography.sections(participants, ROOT).items():
        assert path.read_text() == text, f"{path} is stale: run ./taskw choreography"


def test_the_asyncapi_documents_are_what_the_code_does(participants: list[Participant]) -> None:
    for path, text in asyncapi.files(participants, ROOT / "docs" / "asyncapi").items():
        assert path.read_text() == text, f"{path} is stale: run ./taskw choreography"
