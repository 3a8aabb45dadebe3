"""The choreography document tells a service the other participants, without loading their code."""

from pathlib import Path

from libs.messaging.saga.choreography import (
    Choreography,
    ChoreographyError,
    description_of,
    read,
)
from libs.messaging.saga.participant import Participant
from libs.runtime.start_failure import StartFailure

MEND = "write it with `python -m libs.messaging choreography`, or set CHOREOGRAPHY to where it is"


def read_choreography(path: Path) -> Choreography:
    """Read the document. Raises StartFailure when it is missing or unreadable."""
    try:
        return read(path)
    except ChoreographyError as error:
        raise StartFailure(f"the choreography cannot be read: {error}: {MEND}") from None


def check_own(own: Participant, choreography: Choreography) -> None:
    """Raise StartFailure when the choreography differs from the code of `own`. Otherwise other
    services would wait for events that never come.
    """
    written = choreography.participant(own.name)
    if written is None:
        raise StartFailure(f"the choreography does not contain {own.name}: {MEND}")
    if written != description_of(own):
        raise StartFailure(f"the choreography differs from the code of {own.name}: {MEND}")


def expected_queues(own: Participant, choreography: Choreography) -> dict[str, list[str]]:
    """Return the queues that must exist before an event of this service is published, by type."""
    return {
        event.type: [each.queue for each in choreography.consumers_of(event.type)]
        for event in own.publishes
    }
