"""Makes the figures of docs/saga-report.md and docs/operations.md. They are counted in the
choreography's data, in purchases that are played, and in the tests.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from deploy.checker.invariants import ARRIVED, NOTHING_WAITS, PUBLISHED
from deploy.checker.rules import RULES
from libs.kernel.events import Direction
from libs.messaging.saga.choreography import Choreography, ConsumedEvent, read
from libs.messaging.saga.reactions import Step
from libs.messaging.schema.inbox_window import INBOX_WINDOW
from libs.messaging.topology import topology_of
from libs.runtime.settings import CHOREOGRAPHY
from tests.documents.stories import STARTS, Story, stories
from tests.simulation.interleavings.mutations import MUTATIONS as FAULTS
from tests.simulation.mutations import MUTATIONS
from tests.simulation.orders_seen import OrdersSeen
from tests.simulation.stages import STAGES

ROOT = Path(__file__).parents[2]
CPU = re.compile(r"^\| CPU a purchase, the four services .+? \| (\d+) ms \|", re.MULTILINE)
HOP = re.compile(r"^\| hop, commit to commit, idle \| p50 ([\d.]+) ms,", re.MULTILINE)
FAULT = re.compile(r"^\| \d+ \| .+ \| `[\w/]+\.py::\w+` \|$", re.MULTILINE)
CODE, SALE, REFUSED, FREED = (
    "payment.code_generated.v1",
    "vehicle.sold.v1",
    "vehicle.reservation_failed.v1",
    "credit.released.v1",
)
WAYS = (
    ("from the request to the payment code", "sold", CODE),
    ("from the payment to the sale", "sold", SALE),
    ("from the request to the refusal of the vehicle", "vehicle is another buyer's", REFUSED),
    ("from the expiry of the code to the free credit", "code not paid in time", FREED),
    ("from the cancellation before paying to the free credit", "cancelled before paying", FREED),
    ("from the refund to the free credit", "cancelled after the sale", FREED),
)
"""A stretch of a purchase in words, the title of the purchase, the event that ends the stretch."""
WHOLE = "sold, picked up, seller paid"
"""The purchase with everything that belongs to it."""
MILLION = 1_000_000


@cache
def _stories() -> Sequence[Story]:
    return stories()


@cache
def _choreography() -> Choreography:
    return read(CHOREOGRAPHY)


def participants() -> str:
    """Tell what each service publishes, and how it reacts."""
    rows = [
        (
            each.name,
            len(each.publishes),
            sum(event.direction is Direction.COMPENSATION for event in each.publishes),
            *(_count(each.consumes, step) for step in Step),
        )
        for each in _choreography().participants
    ]
    total = ("**all**", *(sum(column) for column in list(zip(*rows, strict=True))[1:]))
    steps = (f"{step.value} reactions" for step in Step)
    head = ("service", "events it publishes", "of them backward", *steps)
    broker = topology_of(_choreography().participants)
    return (
        _table(head, [*rows, total]) + f"\n\nThe broker has {len(broker.exchanges)} exchanges,"
        f" {len(broker.queues)} queues and {len(broker.bindings)} bindings for them."
    )


def purchases() -> str:
    """Count the messages of each purchase that is played."""
    rows = [
        (
            each.title,
            f"`{each.state}`" + (f", `{each.reason}`" if each.reason else ""),
            len(each.events),
            each.deliveries,
            each.moving,
            each.commands,
        )
        for each in _stories()
    ]
    head = ("purchase", "ends as", "events", "deliveries", "that move it", "commands added")
    return _table(head, rows)


def coordinator() -> str:
    """Count the messages in sequence that each stretch takes, and would take."""
    hop = _measured(HOP)
    rows = []
    for words, title, last in WAYS:
        story = _story(title)
        now, then = story.hops(last), story.hops_coordinated(last)
        rows.append((words, now, then, f"{now * hop:.0f} ms", f"{then * hop:.0f} ms"))
    head = (
        "stretch",
        "messages now",
        "with a coordinator",
        f"time now, at {hop} ms a message",
        "with a coordinator",
    )
    return "\n\n".join([_sequence("sold"), _sequence("sold", coordinated=True), _table(head, rows)])


def commands() -> str:
    """Tell what a coordinator would command, and what the service consumes instead."""
    found: dict[tuple[str, str], list[str]] = {}
    for each in _choreography().participants:
        for one in each.consumes:
            if one.step is not Step.VIEW and each.name != STARTS:
                found.setdefault((each.name, one.does), []).append(f"`{one.event_type}`")
    rows = [(does, service, ", ".join(events)) for (service, does), events in found.items()]
    return _table(("command", "to", "here it does so when it consumes"), rows)


def knowledge() -> str:
    """Tell which events of others each service needs to move a purchase."""
    found = _choreography()
    rows: list[tuple[object, ...]] = []
    commands: set[tuple[str, str]] = set()
    for each in found.participants:
        moving = [one for one in each.consumes if one.step is not Step.VIEW]
        sources = {found.publishers[one.event_type] for one in moving}
        rows.append((each.name, len(moving), ", ".join(sorted(sources)) or "nobody"))
        commands |= {(each.name, one.does) for one in moving if each.name != STARTS}
    answers = [
        event
        for each in found.participants
        if each.name != STARTS
        for event in each.publishes
        if event.correlated
    ]
    rows.append(
        (
            "a coordinator",
            f"{len(answers)} answers, and {len(commands)} commands to send",
            ", ".join(sorted({name for name, _ in commands})),
        )
    )
    return _table(("who", "events that move a purchase there", "of whom"), rows)


def evidence() -> str:
    """Count what the tests check."""
    seen = OrdersSeen.of(Counter())
    faults = len(FAULT.findall((ROOT / "tests" / "README.md").read_text()))
    rows = (
        ("faults, each with a test", faults, "`tests/README.md`"),
        ("stages at which a simulated purchase begins", len(STAGES), "`./taskw soak`"),
        (
            "orders of two events that a service has to handle",
            len(seen.pairs) - len(seen.impossible),
            "`./taskw soak`",
        ),
        ("rules broken on purpose, each found", len(MUTATIONS) + len(FAULTS), "`./taskw mutants`"),
        (
            "invariants over all databases and queues",
            len(RULES) + len((PUBLISHED, ARRIVED, NOTHING_WAITS)),
            "`./taskw verify`",
        ),
    )
    return _table(("what", "how many", "shown by"), rows)


def sizes() -> str:
    """Tell how much data one purchase leaves, and a million purchases."""
    story = _story(WHOLE)
    days = INBOX_WINDOW.kept.days
    rows = (
        ("events, a row in an archive each", len(story.events), f"{len(story.events)} million"),
        (
            "bytes of these events' bodies",
            f"{story.bytes:,}",
            f"{story.bytes * MILLION / 1e9:.1f} GB",
        ),
        (
            f"rows in inboxes, kept for {days} days",
            story.deliveries,
            f"{story.deliveries} million",
        ),
        (
            "rows in the portal's timeline",
            _consumed_by(story, "portal"),
            f"{_consumed_by(story, 'portal')} million",
        ),
        (
            "facts of kpis, kept for good",
            _consumed_by(story, "kpis"),
            f"{_consumed_by(story, 'kpis')} million",
        ),
    )
    cpu = _measured(CPU)
    return (
        _table(("what a purchase leaves", "one purchase", "a million purchases"), rows)
        + f"\n\nA purchase takes {cpu:.0f} ms of processor time up to its sale, servers included"
        f" ([measured](figures.md)): one core can do {int(1000 / cpu)} purchases a"
        " second at most. Plan for half of that."
    )


def _consumed_by(story: Story, service: str) -> int:
    return sum(name == service for each in story.events for name, _ in each.steps)


def _count(consumed: Iterable[ConsumedEvent], step: Step) -> int:
    return sum(each.step is step for each in consumed)


def _story(title: str) -> Story:
    return next(each for each in _stories() if each.title == title)


def _measured(row: re.Pattern[str]) -> float:
    """Return the milliseconds that docs/figures.md states. Raises LookupError."""
    found = row.search((ROOT / "docs" / "figures.md").read_text())
    if found is None:
        raise LookupError(f"docs/figures.md has no row {row.pattern}")
    return float(found[1])


def _sequence(title: str, *, coordinated: bool = False) -> str:
    """Draw the messages that move the purchase, in Mermaid."""
    names = [STARTS, *dict.fromkeys(s for each in _story(title).events for s in each.moves)]
    lines = ["```mermaid", "sequenceDiagram"]
    start = "coordinator" if coordinated else STARTS
    lines += [
        f"    participant {start if each == STARTS else each}" for each in dict.fromkeys(names)
    ]
    for event in _story(title).events:
        name = event.type.removesuffix(".v1")
        source = start if event.source == STARTS else event.source
        if coordinated and source != start:
            lines.append(f"    {source}->>{start}: {name}")
        for service in event.moves:
            if not coordinated:
                lines.append(f"    {source}->>{service}: {name}")
            elif service != STARTS:
                lines.append(f"    {start}->>{service}: {_command(service, event.type)}")
    return "\n".join([*lines, "```"])


def _command(service: str, event_type: str) -> str:
    """Return the command that a coordinator would send, in the words of the service's reaction."""
    consumed = _choreography().consumers_of(event_type)
    return next(each.does for each in consumed if each.service == service)


def _table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
