"""A diff of two choreographies says what changed, whom it hurts, and whether both may run together.

While a release is rolled out, old and new processes share exchanges and queues. Then consumers of
the old choreography read events of the new one, and consumers of the new one read events of the old
one, which also wait in outboxes and queues. A change breaks when either of them cannot.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from libs.messaging.saga.choreography import (
    Choreography,
    ConsumedEvent,
    DescribedParticipant,
    Field,
    PublishedEvent,
)
from libs.messaging.saga.reactions import Step


class Kind(Enum):
    """The value is the rule's id in reports."""

    EVENT_ADDED = "event-added"
    EVENT_REMOVED = "event-removed"
    EVENT_RENAMED = "event-renamed"
    EVENT_MOVED = "event-moved"
    EVENT_CHANGED = "event-changed"
    FIELD_ADDED = "field-added"
    FIELD_REMOVED = "field-removed"
    FIELD_RENAMED = "field-renamed"
    FIELD_REQUIRED = "field-required"
    FIELD_OPTIONAL = "field-optional"
    FIELD_TYPE_CHANGED = "field-type-changed"
    READING_CHANGED = "reading-changed"
    QUEUE_ADDED = "queue-added"
    QUEUE_REMOVED = "queue-removed"
    STEP_CHANGED = "step-changed"
    COMPENSATION_ADDED = "compensation-added"
    COMPENSATION_LOST = "compensation-lost"
    CONSUMER_CHANGED = "consumer-changed"


@dataclass(frozen=True)
class Change:
    """Old processes of the participants in `hurts_old` cannot work with what new processes do; new
    processes of those in `hurts_new` cannot work with what old processes do.
    """

    kind: Kind
    participant: str
    subject: str
    text: str
    hurts_old: tuple[str, ...] = ()
    hurts_new: tuple[str, ...] = ()

    @property
    def side_by_side(self) -> bool:
        """Return whether old and new processes may run at the same time."""
        return not self.hurts_old and not self.hurts_new


Fields = Mapping[str, Field]


def changes(old: Choreography, new: Choreography) -> list[Change]:
    """Return all changes, in the order of the participants."""
    return [*_Comparison(old, new).all()]


def _fields(event: PublishedEvent | ConsumedEvent) -> dict[str, Field]:
    """Return the fields of `data`, and the extension attributes of the envelope."""
    attributes = {f"attribute {name}": _ATTRIBUTE for name in event.extensions}
    return {**attributes, **event.fields}


_ATTRIBUTE = Field(type="string", required=True)


def misfit(name: str, published: Fields, read: Fields) -> str | None:
    """Say why a consumer that reads `name` so cannot read what is published; None when it can."""
    wanted, there = read.get(name), published.get(name)
    if wanted is None:
        return None
    if there is None or not there.required:
        return f"needs {name}" if wanted.required else None
    accepted = wanted.type.split(" | ")
    if all(any(_accepts(each, kind) for each in accepted) for kind in there.type.split(" | ")):
        return None
    return f"reads {name} as {wanted.type}"


def _accepts(wanted: str, kind: str) -> bool:
    return (
        wanted in (kind, "any")
        or kind.startswith(f"{wanted} (")
        or (wanted, kind) == ("number", "integer")
    )


class _Comparison:
    def __init__(self, old: Choreography, new: Choreography) -> None:
        self._old, self._new = old, new

    def all(self) -> Iterator[Change]:
        names = [each.name for each in self._new.participants]
        names += [each.name for each in self._old.participants if each.name not in names]
        for name in names:
            nothing = DescribedParticipant(name=name, publishes=(), consumes=())
            old = self._old.participant(name) or nothing
            new = self._new.participant(name) or nothing
            yield from self._published(old, new)
            yield from self._consumed(old, new)

    # The events that a participant publishes

    def _published(self, old: DescribedParticipant, new: DescribedParticipant) -> Iterator[Change]:
        before = {event.type: event for event in old.publishes}
        after = {event.type: event for event in new.publishes}
        removed = [event for event in old.publishes if event.type not in after]
        added = [event for event in new.publishes if event.type not in before]
        for gone in removed:
            renamed = next((each for each in added if _same_content(gone, each)), None)
            if renamed is not None:
                added.remove(renamed)
            yield self._removed(new.name, gone, renamed)
        for event in added:
            if event.type not in self._old.publishers:
                text = f"{new.name} publishes {event.type}"
                yield Change(Kind.EVENT_ADDED, new.name, event.type, text)
        for event in new.publishes:
            published = before.get(event.type) or _event(self._old, event.type)
            if published is not None:
                yield from self._changed(new.name, published, event)

    def _removed(self, name: str, gone: PublishedEvent, renamed: PublishedEvent | None) -> Change:
        moved_to = self._new.publishers.get(gone.type)
        if moved_to is not None:
            text = f"{name} no longer publishes {gone.type}: {moved_to} does"
            return Change(Kind.EVENT_MOVED, name, gone.type, text)
        had = _services(self._old.consumers_of(gone.type))
        have = _services(self._new.consumers_of(gone.type))
        without = tuple(dict.fromkeys((*had, *have)))
        if renamed is None:
            text = f"{name} no longer publishes {gone.type}"
            return Change(Kind.EVENT_REMOVED, name, gone.type, text, without)
        text = f"{name} publishes {renamed.type} where it published {gone.type}"
        followed = _services(self._new.consumers_of(renamed.type))
        missed = tuple(each for each in followed if each not in have)
        return Change(Kind.EVENT_RENAMED, name, gone.type, text, without, missed)

    def _changed(self, name: str, old: PublishedEvent, new: PublishedEvent) -> Iterator[Change]:
        told = (
            ("direction", old.direction.value, new.direction.value),
            ("unconsumed", old.unconsumed, new.unconsumed),
        )
        for what, was, now in told:
            if was != now:
                text = f"{new.type} of {name}: {what} was {was}, is {now}"
                yield Change(Kind.EVENT_CHANGED, name, new.type, text)
        before, after = _fields(old), _fields(new)
        removed = [each for each in before if each not in after]
        added = [each for each in after if each not in before]
        for field in removed:
            twin = next((each for each in added if after[each].type == before[field].type), None)
            if twin is None:
                yield self._field(Kind.FIELD_REMOVED, name, old, new, [field], f"loses {field}")
            else:
                added.remove(twin)
                text = f"has {twin} where it had {field}"
                yield self._field(Kind.FIELD_RENAMED, name, old, new, [field, twin], text)
        for field in added:
            text = f"gains {field} ({after[field].type})"
            yield self._field(Kind.FIELD_ADDED, name, old, new, [field], text)
        for field in [each for each in before if each in after]:
            there, here = before[field], after[field]
            if there.type != here.type:
                text = f"has {field} as {here.type}, was {there.type}"
                yield self._field(Kind.FIELD_TYPE_CHANGED, name, old, new, [field], text)
            if there.required != here.required:
                kind = Kind.FIELD_REQUIRED if here.required else Kind.FIELD_OPTIONAL
                text = f"{'always' if here.required else 'not always'} has {field}"
                yield self._field(kind, name, old, new, [field], text)

    def _field(
        self,
        kind: Kind,
        name: str,
        old: PublishedEvent,
        new: PublishedEvent,
        fields: list[str],
        text: str,
    ) -> Change:
        def hurt(
            consumers: tuple[ConsumedEvent, ...], published: PublishedEvent
        ) -> tuple[str, ...]:
            return _services(
                tuple(
                    each
                    for each in consumers
                    if any(misfit(field, _fields(published), _fields(each)) for field in fields)
                )
            )

        return Change(
            kind,
            name,
            f"{new.type} {fields[0]}",
            f"{new.type} of {name} {text}",
            hurt(self._old.consumers_of(old.type), new),
            hurt(self._new.consumers_of(new.type), old),
        )

    # The events that a participant consumes

    def _consumed(self, old: DescribedParticipant, new: DescribedParticipant) -> Iterator[Change]:
        before = {each.queue: each for each in old.consumes}
        after = {each.queue: each for each in new.consumes}
        for queue, consumed in before.items():
            if queue not in after:
                yield self._stopped(new.name, consumed)
        for queue, consumed in after.items():
            if queue not in before:
                yield Change(
                    Kind.QUEUE_ADDED,
                    new.name,
                    queue,
                    f"{new.name} newly consumes {consumed.event_type}: {consumed.does}"
                    f" ({consumed.step.value}); apply the topology before it starts",
                )
            else:
                yield from self._reacts_otherwise(new.name, before[queue], consumed)

    def _stopped(self, name: str, consumed: ConsumedEvent) -> Change:
        """A view that is no longer kept hurts nobody. When a step is no longer made, nobody acts on
        what old processes publish for it.
        """
        text = (
            f"{name} no longer consumes {consumed.event_type}: {consumed.does}"
            f" ({consumed.step.value}); its queue goes on filling until it is pruned"
        )
        hurt = () if consumed.step is Step.VIEW else (name,)
        return Change(Kind.QUEUE_REMOVED, name, consumed.queue, text, hurts_new=hurt)

    def _reacts_otherwise(
        self, name: str, old: ConsumedEvent, new: ConsumedEvent
    ) -> Iterator[Change]:
        at = f"{name} on {new.event_type}"
        if old.step is not new.step:
            text = f"{at}: was {old.step.value}, is {new.step.value}"
            # Both take from one queue, and each message is handled in one of the two ways.
            yield Change(Kind.STEP_CHANGED, name, new.queue, text, (name,), (name,))
        yield from self._compensation(name, old, new)
        for what, before, after in (
            ("batch delay in seconds", old.batch_delay, new.batch_delay),
            ("queue drops nothing", old.kept, new.kept),
            ("what it does", old.does, new.does),
            ("keeps the whole event", old.keeps_all, new.keeps_all),
        ):
            if before != after:
                text = f"{at}: {what} was {before}, is {after}"
                yield Change(Kind.CONSUMER_CHANGED, name, new.queue, text)
        yield from self._reads_otherwise(name, old, new)

    def _compensation(self, name: str, old: ConsumedEvent, new: ConsumedEvent) -> Iterator[Change]:
        step = f"{name}: the step on {new.event_type}"
        lost = [each for each in old.compensated_by if each not in new.compensated_by]
        for event_type in lost:
            rest = ", ".join(new.compensated_by)
            left = f"only by {rest}" if rest else "by nothing"
            text = f"{step} is no longer undone by {event_type}, {left}"
            # Old and new publishers of this event rely on a compensation that new processes leave
            # out.
            yield Change(Kind.COMPENSATION_LOST, name, new.queue, text, hurts_new=(name,))
        if new.irrevocable and not old.irrevocable and not lost:
            text = f"{step} can no longer be undone"
            yield Change(Kind.COMPENSATION_LOST, name, new.queue, text, hurts_new=(name,))
        for event_type in new.compensated_by:
            if event_type not in old.compensated_by:
                text = f"{step} is undone by {event_type} too"
                yield Change(Kind.COMPENSATION_ADDED, name, new.queue, text)

    def _reads_otherwise(
        self, name: str, old: ConsumedEvent, new: ConsumedEvent
    ) -> Iterator[Change]:
        """Yield only changes that hurt and are not reported as a change of the event."""
        before = _fields_of(_event(self._old, new.event_type))
        after = _fields_of(_event(self._new, new.event_type))
        for field in _fields(new):
            problem = misfit(field, before, _fields(new))
            read_otherwise = _fields(old).get(field) != _fields(new)[field]
            if problem and read_otherwise and before.get(field) == after.get(field):
                text = f"{name} on {new.event_type} now {problem}, which events do not have so"
                yield Change(Kind.READING_CHANGED, name, new.queue, text, (), (name,))


def _event(choreography: Choreography, event_type: str) -> PublishedEvent | None:
    return next(
        (
            event
            for each in choreography.participants
            for event in each.publishes
            if event.type == event_type
        ),
        None,
    )


def _fields_of(event: PublishedEvent | None) -> dict[str, Field]:
    return {} if event is None else _fields(event)


def _services(consumers: tuple[ConsumedEvent, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.service for each in consumers))


def _same_content(one: PublishedEvent, other: PublishedEvent) -> bool:
    return _fields(one) == _fields(other) and one.direction is other.direction
