"""These rules hold between all participants of a choreography."""

from collections.abc import Iterator

from libs.messaging.saga.choreography import Choreography, ConsumedEvent, DescribedParticipant
from libs.messaging.saga.reactions import Step


def check(choreography: Choreography) -> list[str]:
    """Say what is wrong between the participants, one line each; empty when they fit together."""
    return [
        problem for each in choreography.participants for problem in _problems(each, choreography)
    ]


def _problems(participant: DescribedParticipant, choreography: Choreography) -> Iterator[str]:
    name, published = participant.name, choreography.publishers
    for event in participant.publishes:
        consumed_by_anybody = bool(choreography.consumers_of(event.type))
        if not event.unconsumed and not consumed_by_anybody:
            yield f"{name}: nobody reacts to {event.type}, and it is not declared unconsumed"
        if event.unconsumed and consumed_by_anybody:
            yield f"{name}: {event.type} is declared unconsumed, but somebody reacts to it"
    backward = {each.event_type for each in participant.consumes if each.step is Step.BACKWARD}
    for consumed in participant.consumes:
        if consumed.event_type not in published:
            yield f"{name}: waits for {consumed.event_type}, which nobody publishes"
        if consumed.step is Step.FORWARD and not consumed.irrevocable:
            yield from _no_compensation(consumed, backward, choreography)
    for event_type in sorted(backward & published.keys() - choreography.compensations):
        yield (
            f"{name}: goes backward on {event_type}, which {published[event_type]} does not"
            " declare a compensation"
        )


def _no_compensation(
    consumed: ConsumedEvent, backward: set[str], choreography: Choreography
) -> Iterator[str]:
    step = f"{consumed.service}: the step on {consumed.event_type}"
    if not consumed.compensated_by:
        yield f"{step} has no compensation"
    for event_type in consumed.compensated_by:
        if event_type not in backward:
            yield f"{step} is undone by {event_type}, but nothing goes backward on it there"
        if event_type not in choreography.publishers:
            yield f"{step} is undone by {event_type}, which nobody publishes"
