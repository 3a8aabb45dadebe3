"""Each kind of change between two choreographies has its meaning for old and new processes."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from libs.kernel.events import Direction
from libs.messaging.saga.choreography import (
    Choreography,
    ConsumedEvent,
    DescribedParticipant,
    Field,
    PublishedEvent,
)
from libs.messaging.saga.diff import Change, Kind, changes
from libs.messaging.saga.reactions import Step
from libs.messaging.saga.reports import Format, report

PLACED, CANCELLED = "order.placed.v1", "order.cancelled.v1"
UUID, WHOLE, TEXT = "string (uuid)", "integer", "string"


def fields(named: Mapping[str, str]) -> dict[str, Field]:
    """Return fields by name and JSON type. A name that ends in `?` is not required."""
    return {
        name.removesuffix("?"): Field(type=kind, required=not name.endswith("?"))
        for name, kind in named.items()
    }


def published(event_type: str = PLACED, **changed: Any) -> PublishedEvent:
    usual: dict[str, Any] = {
        "type": event_type,
        "direction": Direction.FORWARD,
        "unconsumed": False,
        "extensions": (),
        "fields": fields({"order_id": UUID, "cents": WHOLE}),
    }
    return PublishedEvent(**usual | changed)


def consumed(event_type: str = PLACED, by: str = "credit", **changed: Any) -> ConsumedEvent:
    usual: dict[str, Any] = {
        "event_type": event_type,
        "queue": f"{by}.on.{event_type}",
        "step": Step.FORWARD,
        "compensated_by": (CANCELLED,),
        "irrevocable": False,
        "batch_delay": 0.0,
        "does": "reserve credit",
        "extensions": (),
        "keeps_all": False,
        "fields": fields({"order_id": UUID, "cents": WHOLE}),
    }
    return ConsumedEvent(**usual | changed)


CANCELLATION = published(CANCELLED, direction=Direction.COMPENSATION)
RELEASE = consumed(CANCELLED, step=Step.BACKWARD, compensated_by=(), does="release credit")
VIEWING = consumed(by="portal", step=Step.VIEW, compensated_by=(), fields=fields({}))


def market(
    *events: PublishedEvent,
    credit: tuple[ConsumedEvent, ...] = (),
    portal: tuple[ConsumedEvent, ...] = (),
    elsewhere: tuple[PublishedEvent, ...] = (),
) -> Choreography:
    participants = (
        DescribedParticipant(name="orders", publishes=events, consumes=()),
        DescribedParticipant(name="credit", publishes=elsewhere, consumes=credit),
        DescribedParticipant(name="portal", publishes=(), consumes=portal),
    )
    return Choreography(participants=participants)


def usual(event: PublishedEvent | None = None, **changed: Any) -> Choreography:
    """Return a choreography: orders publishes, credit makes its step and compensates it, the portal
    keeps a view. `changed` are the arguments of credit's step.
    """
    step = consumed(**changed)
    return market(event or published(), CANCELLATION, credit=(step, RELEASE), portal=(VIEWING,))


def only(old: Choreography, new: Choreography) -> Change:
    found = changes(old, new)
    assert len(found) == 1, found
    return found[0]


def outcome(change: Change) -> tuple[Kind, tuple[str, ...], tuple[str, ...]]:
    return change.kind, change.hurts_old, change.hurts_new


def test_equal_choreographies_have_no_changes() -> None:
    assert changes(usual(), usual()) == []


def test_an_added_event_hurts_nobody() -> None:
    old = market(published())
    change = only(old, market(published(), published("order.seen.v1")))
    assert outcome(change) == (Kind.EVENT_ADDED, (), ())
    assert change.text == "orders publishes order.seen.v1"


def test_a_removed_event_hurts_whoever_consumed_it_and_whoever_still_does() -> None:
    old = market(published(fields=fields({})), credit=(consumed(),))
    new = market(portal=(VIEWING,), credit=(consumed(),))
    [removed] = [each for each in changes(old, new) if each.kind is Kind.EVENT_REMOVED]
    assert outcome(removed) == (Kind.EVENT_REMOVED, ("credit", "portal"), ())


def test_a_removed_event_nobody_consumed_hurts_nobody() -> None:
    assert only(market(published()), market()).side_by_side


def test_a_renamed_event_is_reported_as_one_and_hurts_in_both_directions() -> None:
    other = "order.booked.v1"
    old = market(published(), credit=(consumed(),))
    new = market(published(other), credit=(consumed(other),))
    found = {each.kind: each for each in changes(old, new)}
    assert set(found) == {Kind.EVENT_RENAMED, Kind.QUEUE_ADDED, Kind.QUEUE_REMOVED}
    renamed = found[Kind.EVENT_RENAMED]
    assert outcome(renamed) == (Kind.EVENT_RENAMED, ("credit",), ("credit",))
    assert renamed.text == "orders publishes order.booked.v1 where it published order.placed.v1"


def test_a_consumer_of_both_names_is_hurt_by_no_old_process() -> None:
    other = "order.booked.v1"
    old = market(published(), credit=(consumed(),))
    new = market(published(other), credit=(consumed(), consumed(other)))
    [renamed] = [each for each in changes(old, new) if each.kind is Kind.EVENT_RENAMED]
    assert renamed.hurts_new == ()


def test_an_event_that_another_service_publishes_now_hurts_nobody_and_its_fields_are_compared() -> (
    None
):
    old = market(published(), credit=(consumed(),))
    new = market(credit=(consumed(),), elsewhere=(published(fields=fields({"order_id": UUID})),))
    moved, lost = changes(old, new)
    assert outcome(moved) == (Kind.EVENT_MOVED, (), ())
    assert outcome(lost) == (Kind.FIELD_REMOVED, ("credit",), ())


def test_an_added_field_hurts_nobody_unless_new_consumers_need_it_at_once() -> None:
    wider = published(fields=fields({"order_id": UUID, "cents": WHOLE, "colour": TEXT}))
    assert outcome(only(usual(), usual(wider))) == (Kind.FIELD_ADDED, (), ())
    needs = fields({"order_id": UUID, "cents": WHOLE, "colour": TEXT})
    assert outcome(only(usual(), usual(wider, fields=needs))) == (
        Kind.FIELD_ADDED,
        (),
        ("credit",),
    )
    may = fields({"order_id": UUID, "cents": WHOLE, "colour?": TEXT})
    assert only(usual(), usual(wider, fields=may)).side_by_side


def test_a_removed_field_hurts_old_consumers_that_need_it_and_no_other() -> None:
    change = only(usual(), usual(published(fields=fields({"order_id": UUID}))))
    assert outcome(change) == (Kind.FIELD_REMOVED, ("credit",), ())
    assert change.text == "order.placed.v1 of orders loses cents"
    unread = fields({"order_id": UUID})
    old = usual(fields=unread)
    assert only(old, usual(published(fields=unread), fields=unread)).side_by_side


def test_a_renamed_field_is_guessed_by_its_type_and_hurts_in_both_directions() -> None:
    renamed = fields({"order_id": UUID, "total": WHOLE})
    change = only(usual(), usual(published(fields=renamed), fields=renamed))
    assert outcome(change) == (Kind.FIELD_RENAMED, ("credit",), ("credit",))
    assert change.text == "order.placed.v1 of orders has total where it had cents"


def test_a_field_of_another_type_hurts_whoever_cannot_read_it() -> None:
    wider = fields({"order_id": UUID, "cents": "integer | null"})
    change = only(usual(), usual(published(fields=wider)))
    assert outcome(change) == (Kind.FIELD_TYPE_CHANGED, ("credit",), ())
    both = usual(published(fields=wider), fields=wider)
    assert outcome(only(usual(), both)) == (Kind.FIELD_TYPE_CHANGED, ("credit",), ())
    assert outcome(only(both, usual())) == (Kind.FIELD_TYPE_CHANGED, (), ("credit",))
    narrower = usual(published(fields=fields({"order_id": UUID, "cents": WHOLE})), fields=wider)
    assert only(both, narrower).side_by_side


@pytest.mark.parametrize(
    ("read", "sent"), [("number", "integer"), ("string", "string (uuid)"), ("any", "object")]
)
def test_a_consumer_that_reads_a_wider_type_is_not_hurt(read: str, sent: str) -> None:
    old = usual(published(fields=fields({"it": read})), fields=fields({"it": read}))
    new = usual(published(fields=fields({"it": sent})), fields=fields({"it": read}))
    assert outcome(only(old, new)) == (Kind.FIELD_TYPE_CHANGED, (), ())


def test_a_field_made_required_hurts_new_consumers_that_need_it_and_optional_old_ones() -> None:
    optional = published(fields=fields({"order_id": UUID, "cents?": WHOLE}))
    tolerant = fields({"order_id": UUID, "cents?": WHOLE})
    change = only(usual(optional, fields=tolerant), usual())
    assert outcome(change) == (Kind.FIELD_REQUIRED, (), ("credit",))
    change = only(usual(), usual(optional, fields=tolerant))
    assert outcome(change) == (Kind.FIELD_OPTIONAL, ("credit",), ())


def test_a_consumer_that_newly_needs_what_is_not_always_there_is_hurt() -> None:
    event = published(fields=fields({"order_id": UUID, "cents?": WHOLE}))
    tolerant = fields({"order_id": UUID, "cents?": WHOLE})
    change = only(usual(event, fields=tolerant), usual(event))
    assert outcome(change) == (Kind.READING_CHANGED, (), ("credit",))
    assert changes(usual(fields=fields({})), usual()) == []


def test_an_extension_attribute_that_goes_hurts_consumers_that_need_it() -> None:
    tenant = ("tenantid",)
    old = usual(published(extensions=tenant), extensions=tenant)
    change = only(old, usual(extensions=tenant))
    assert outcome(change) == (Kind.FIELD_REMOVED, ("credit",), ())
    assert change.text == "order.placed.v1 of orders loses attribute tenantid"


def test_a_consumer_that_newly_reacts_hurts_nobody_once_its_queue_is_there() -> None:
    old = market(published(), CANCELLATION, credit=(consumed(), RELEASE))
    change = only(old, usual())
    assert outcome(change) == (Kind.QUEUE_ADDED, (), ())
    assert "apply the topology before it starts" in change.text


def test_a_step_that_nobody_makes_any_more_breaks_and_a_view_does_not() -> None:
    without = market(published(), CANCELLATION, credit=(RELEASE,), portal=(VIEWING,))
    assert outcome(only(usual(), without)) == (Kind.QUEUE_REMOVED, (), ("credit",))
    no_view = market(published(), CANCELLATION, credit=(consumed(), RELEASE))
    assert outcome(only(usual(), no_view)) == (Kind.QUEUE_REMOVED, (), ())


def test_a_reaction_that_becomes_another_kind_of_step_breaks_in_both_directions() -> None:
    old = usual(step=Step.VIEW, compensated_by=())
    found = {each.kind: each for each in changes(old, usual())}
    assert set(found) == {Kind.STEP_CHANGED, Kind.COMPENSATION_ADDED}
    assert outcome(found[Kind.STEP_CHANGED])[1:] == (("credit",), ("credit",))


def test_a_step_that_loses_its_compensation_breaks() -> None:
    change = only(usual(), usual(compensated_by=(), irrevocable=True))
    assert outcome(change) == (Kind.COMPENSATION_LOST, (), ("credit",))
    assert change.text == (
        "credit: the step on order.placed.v1 is no longer undone by order.cancelled.v1, by nothing"
    )
    two = usual(compensated_by=(CANCELLED, "order.lost.v1"))
    change = only(two, usual())
    assert not change.side_by_side
    assert change.text.endswith("no longer undone by order.lost.v1, only by order.cancelled.v1")


def test_a_step_that_gains_a_compensation_hurts_nobody() -> None:
    change = only(usual(), usual(compensated_by=(CANCELLED, "order.lost.v1")))
    assert outcome(change) == (Kind.COMPENSATION_ADDED, (), ())


@pytest.mark.parametrize(
    "changed", [{"batch_delay": 0.1}, {"does": "take credit"}, {"keeps_all": True}]
)
def test_a_queue_that_a_consumer_declares_itself_is_reported_and_left(changed: Any) -> None:
    assert outcome(only(usual(), usual(**changed))) == (Kind.CONSUMER_CHANGED, (), ())


@pytest.mark.parametrize("changed", [{"direction": Direction.COMPENSATION}, {"unconsumed": True}])
def test_direction_and_finality_of_an_event_are_reported_and_hurt_nobody(changed: Any) -> None:
    assert outcome(only(usual(), usual(published(**changed)))) == (Kind.EVENT_CHANGED, (), ())


BREAKING = changes(usual(), usual(compensated_by=(), batch_delay=0.5))


def test_the_text_names_each_change_and_whom_it_hurts() -> None:
    assert report(BREAKING, "v1", "choreography.json", Format.TEXT).splitlines() == [
        "BREAKING  credit: the step on order.placed.v1 is no longer undone by order.cancelled.v1,"
        " by nothing",
        "          new processes of credit cannot work with old ones",
        "ok        credit on order.placed.v1: batch delay in seconds was 0.0, is 0.5",
        "2 changes since v1, 1 of them breaking",
    ]


def test_the_json_reports_the_same() -> None:
    told = json.loads(report(BREAKING, "v1", "choreography.json", Format.JSON))
    assert (told["base"], told["side_by_side"]) == ("v1", False)
    assert [each["kind"] for each in told["changes"]] == ["compensation-lost", "consumer-changed"]
    assert told["changes"][0]["hurts"] == {"old": [], "new": ["credit"]}


def test_the_sarif_has_a_rule_for_each_result_and_breaking_changes_are_errors() -> None:
    told = json.loads(report(BREAKING, "v1", "services/choreography.json", Format.SARIF))
    assert told["version"] == "2.1.0"
    [run] = told["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(rules) == len(set(rules)) == len(Kind)
    assert [each["level"] for each in run["results"]] == ["error", "note"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        [location] = result["locations"]
        place = location["physicalLocation"]["artifactLocation"]["uri"]
        assert place == "services/choreography.json"
