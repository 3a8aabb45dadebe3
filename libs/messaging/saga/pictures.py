"""A drawing and tables show the choreography, at their places in the documents."""

import re
from collections.abc import Sequence
from pathlib import Path

from libs.messaging.saga.choreography import (
    Choreography,
    ChoreographyError,
    DescribedParticipant,
)
from libs.messaging.saga.reactions import Step

BEGIN = "<!-- choreography:begin (generated) -->"
END = "<!-- choreography:end -->"

_ARROWS = {Step.FORWARD: "==>", Step.BACKWARD: "-->", Step.VIEW: "-.->"}
_COLOURS = {Step.FORWARD: "#2e7d32", Step.BACKWARD: "#c62828", Step.VIEW: "#9e9e9e"}

TABLE = Path("docs") / "choreography.md"
"""The table of all events stands here, from the root of the project."""


def drawing(choreography: Choreography) -> str:
    """Draw who publishes to whom, in Mermaid."""
    edges: dict[tuple[str, str, Step], list[str]] = {}
    for publisher in choreography.participants:
        for event in publisher.publishes:
            for consumed in choreography.consumers_of(event.type):
                edge = (publisher.name, consumed.service, consumed.step)
                edges.setdefault(edge, []).append(_short(event.type))
    lines = ["```mermaid", "flowchart TD"]
    lines += [f"    {each.name}([{each.name}])" for each in choreography.participants]
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
        return f"{len(events)} events"  # the table names them
    return "<br/>".join(events)


def table(choreography: Choreography) -> str:
    """Return every event, its publisher and its consumers, as Markdown."""
    rows = [
        f"| `{event.type}` | {publisher.name} | {_consumers(event.type, choreography)} |"
        for publisher in choreography.participants
        for event in publisher.publishes
    ]
    return "\n".join(["| event | published by | who reacts, and how |", "|---|---|---|", *rows])


def canvas(participant: DescribedParticipant, choreography: Choreography) -> str:
    """Return a service's events in and out, as Markdown for its own README."""
    publishers = choreography.publishers
    lines = ["**Events in**", "", "| event | from | step | what it does |", "|---|---|---|---|"]
    for consumed in participant.consumes:
        publisher = publishers.get(consumed.event_type, "nobody")
        lines.append(
            f"| `{consumed.event_type}` | {publisher} | {consumed.step.value} | {consumed.does} |"
        )
    lines += ["", "**Events out**", "", "| event | who reacts, and how |", "|---|---|"]
    for event in participant.publishes:
        lines.append(f"| `{event.type}` | {_consumers(event.type, choreography)} |")
    return "\n".join(lines)


def _consumers(event_type: str, choreography: Choreography) -> str:
    consumers = choreography.consumers_of(event_type)
    told = [f"{each.service}: {each.does} ({each.step.value})" for each in consumers]
    return " · ".join(told) or "nobody yet (unconsumed)"


def _short(event_type: str) -> str:
    return re.sub(r"\.v1$", "", event_type)


def with_section(text: str, section: str, where: str) -> str:
    """Replace what stands between the markers of `text`, or raise ChoreographyError."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ChoreographyError(f"{where} has no section between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{section}\n\n{END}{after}"


def sections(choreography: Choreography, root: Path) -> dict[Path, str]:
    """Return each document as it should read now, by path. README.md has to have the markers for
    the drawing, and docs/choreography.md those for the table. A service's README may have none.
    Raises ChoreographyError where markers or documents are missing.
    """
    whole = {Path("README.md"): drawing(choreography), TABLE: table(choreography)}
    try:
        texts = {
            root / name: with_section((root / name).read_text(), section, name.as_posix())
            for name, section in whole.items()
        }
        for participant in choreography.participants:
            path = root / "services" / participant.name / "README.md"
            text = path.read_text()
            if BEGIN in text:
                section = canvas(participant, choreography)
                texts[path] = with_section(text, section, str(path.relative_to(root)))
    except OSError as error:
        raise ChoreographyError(f"{error.filename}: {error.strerror}") from None
    return texts
