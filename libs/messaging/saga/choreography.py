"""The choreography as a picture and as rules, both derived from the participants."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from libs.messaging.inbox.reactions import Reaction, Step
from libs.messaging.saga.participant import Participant

BEGIN = "<!-- choreography:begin (written by `./taskw choreography`) -->"
END = "<!-- choreography:end -->"

_ARROWS = {Step.FORWARD: "==>", Step.BACKWARD: "-->", Step.VIEW: "-.->"}
_COLOURS = {Step.FORWARD: "#2e7d32", Step.BACKWARD: "#c62828", Step.VIEW: "#9e9e9e"}


class ChoreographyError(Exception):
    """A file cannot hold the picture; one line says why."""


def check(participants: Sequence[Participant]) -> list[str]:
    """What is wrong between the participants, one line each; empty when they fit together."""
    return [problem for each in participants for problem in _problems(each, participants)]


def _problems(participant: Participant, participants: Sequence[Participant]) -> Iterator[str]:
    published = {event.type for each in participants for event in each.publishes}
    heard = {reaction.event_type for each in participants for reaction in each.reacts_to}
    own = {event.type for event in participant.publishes}
    name = participant.name
    for event_type in sorted(own - heard - participant.final):
        yield f"{name}: nobody reacts to {event_type}, and it is not declared final"
    for event_type in sorted(own & heard & participant.final):
        yield f"{name}: {event_type} is declared final, but somebody reacts to it"
    for event_type in sorted(participant.final - own):
        yield f"{name}: {event_type} is declared final, but {name} does not publish it"
    backward = {each.event_type for each in participant.reacts_to if each.step is Step.BACKWARD}
    for reaction in participant.reacts_to:
        if reaction.event_type not in published:
            yield f"{name}: waits for {reaction.event_type}, which nobody publishes"
        if reaction.step is Step.FORWARD and not reaction.irrevocable:
            yield from _no_way_back(reaction, backward, published)


def _no_way_back(reaction: Reaction[Any], backward: set[str], published: set[str]) -> Iterator[str]:
    step = f"{reaction.service}: the step on {reaction.event_type}"
    if not reaction.compensated_by:
        yield f"{step} has no way back"
    for event_type in reaction.compensated_by:
        if event_type not in backward:
            yield f"{step} is undone by {event_type}, but nothing goes backward on it there"
        if event_type not in published:
            yield f"{step} is undone by {event_type}, which nobody publishes"


def picture(participants: Sequence[Participant]) -> str:
    """A Mermaid drawing and a table of every event, as Markdown."""
    return f"{_drawing(participants)}\n\n{_table(participants)}"


def _drawing(participants: Sequence[Participant]) -> str:
    edges: dict[tuple[str, str, Step], list[str]] = {}
    for publisher in participants:
        for event in publisher.publishes:
            for reaction in _reactions_to(event.type, participants):
                edge = (publisher.name, reaction.service, reaction.step)
                edges.setdefault(edge, []).append(_short(event.type))
    lines = ["```mermaid", "flowchart TD"]
    lines += [f"    {each.name}([{each.name}])" for each in participants]
    for (source, target, step), events in edges.items():
        label = _label(step, events)
        lines.append(f'    {source} {_ARROWS[step]}|"{label}"| {target}')
    for kind, colour in _COLOURS.items():
        numbers = [str(n) for n, edge in enumerate(edges) if edge[2] is kind]
        if numbers:
            lines.append(f"    linkStyle {','.join(numbers)} stroke:{colour}")
    lines.append("```")
    legend = "Thick green: forward. Thin red: backward. Dotted grey: only a view."
    return "\n".join(lines) + f"\n\n{legend}"


def _label(step: Step, events: Sequence[str]) -> str:
    if step is Step.VIEW and len(events) > 3:
        return f"{len(events)} events"  # the table below names them
    return "<br/>".join(events)


def _table(participants: Sequence[Participant]) -> str:
    rows = [
        f"| `{event.type}` | {publisher.name} | {_listeners(event.type, participants)} |"
        for publisher in participants
        for event in publisher.publishes
    ]
    return "\n".join(["| event | published by | who reacts, and how |", "|---|---|---|", *rows])


def canvas(participant: Participant, participants: Sequence[Participant]) -> str:
    """A service's events in and out, as Markdown for its own README."""
    publishers = {event.type: each.name for each in participants for event in each.publishes}
    lines = ["**Events in**", "", "| event | from | step | what it does |", "|---|---|---|---|"]
    for reaction in participant.reacts_to:
        publisher = publishers.get(reaction.event_type, "nobody")
        lines.append(
            f"| `{reaction.event_type}` | {publisher} | {reaction.step.value} | {_does(reaction)} |"
        )
    lines += ["", "**Events out**", "", "| event | who reacts, and how |", "|---|---|"]
    for event in participant.publishes:
        lines.append(f"| `{event.type}` | {_listeners(event.type, participants)} |")
    return "\n".join(lines)


def _reactions_to(event_type: str, participants: Sequence[Participant]) -> Iterator[Reaction[Any]]:
    for participant in participants:
        for reaction in participant.reacts_to:
            if reaction.event_type == event_type:
                yield reaction


def _listeners(event_type: str, participants: Sequence[Participant]) -> str:
    reactions = _reactions_to(event_type, participants)
    told = [f"{each.service}: {_does(each)} ({each.step.value})" for each in reactions]
    return " · ".join(told) or "nobody yet (final)"


def _does(reaction: Reaction[Any]) -> str:
    """`reserve_credit_when_order_confirmed` reads as "reserve credit"."""
    return reaction.handler.__name__.partition("_when_")[0].replace("_", " ")


def _short(event_type: str) -> str:
    return re.sub(r"\.v1$", "", event_type)


def with_section(text: str, section: str, where: str) -> str:
    """`text` with what stands between its markers replaced; raises ChoreographyError."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ChoreographyError(f"{where} has no section between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{section}\n\n{END}{after}"


def sections(participants: Sequence[Participant], root: Path) -> dict[Path, str]:
    """Each README as it should read now, by path. A service's README without the markers keeps
    what its people write there; the project's own has to have them.
    """
    main = root / "README.md"
    try:
        texts = {main: with_section(main.read_text(), picture(participants), main.name)}
        for participant in participants:
            path = root / "services" / participant.name / "README.md"
            text = path.read_text()
            if BEGIN in text:
                section = canvas(participant, participants)
                texts[path] = with_section(text, section, str(path.relative_to(root)))
    except OSError as error:
        raise ChoreographyError(f"{error.filename}: {error.strerror}") from None
    return texts
