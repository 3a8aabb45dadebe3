from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console
from rich.text import Text

from deploy.demo.timeline import Happened, draw
from libs.messaging.saga.choreography import DescribedParticipant, read
from libs.messaging.saga.reactions import Step
from libs.runtime.settings import CHOREOGRAPHY

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
COMPENSATIONS = read(CHOREOGRAPHY).compensations
PARTICIPANTS = read(CHOREOGRAPHY).participants


def happened(milliseconds: float, event_type: str, reason: str | None = None) -> Happened:
    time = START + timedelta(milliseconds=milliseconds)
    return Happened(time, event_type.split(".")[0], event_type, reason)


def cells(*events: Happened) -> list[list[str]]:
    """Return the drawn table's cells by line, with their markup."""
    return [
        list(line)
        for line in zip(*(c.cells for c in draw(events, COMPENSATIONS).columns), strict=True)
    ]


def test_each_line_shows_milliseconds_since_the_first_event_service_and_event() -> None:
    lines = cells(
        happened(0, "order.confirmed.v1"),
        happened(7.4, "credit.reserved.v1"),
        happened(6012, "payment.expired.v1"),
    )

    plain = [[Text.from_markup(cell).plain for cell in line] for line in lines]
    assert plain == [
        ["0 ms", "order", "order.confirmed"],
        ["7 ms", "credit", "credit.reserved"],
        ["6,012 ms", "payment", "payment.expired"],
    ]


def test_the_reason_of_a_failure_stands_beside_it() -> None:
    [line] = cells(happened(0, "credit.reservation_failed.v1", "credit_too_low"))

    assert Text.from_markup(line[2]).plain == "credit.reservation_failed  credit_too_low"


@pytest.mark.parametrize(
    ("event_type", "colour"),
    [
        ("vehicle.sold.v1", "green"),
        ("vehicle.sale_failed.v1", "yellow"),
        ("payment.refund_failed.v1", "yellow"),
        ("order.cancelled.v1", "yellow"),
    ],
)
def test_compensations_have_a_colour_of_their_own(event_type: str, colour: str) -> None:
    [line] = cells(happened(0, event_type))

    assert line[2] == f"[{colour}]{event_type.removesuffix('.v1')}[/{colour}]"


def test_a_purchase_nothing_is_known_of_draws_an_empty_table() -> None:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(draw([], COMPENSATIONS))

    assert capture.get().strip() == ""


@pytest.mark.parametrize("service", PARTICIPANTS, ids=lambda each: each.name)
def test_every_event_is_consumed_as_a_step_of_its_own_direction(
    service: DescribedParticipant,
) -> None:
    for consumed in service.consumes:
        if consumed.step is not Step.VIEW:
            leads_back = consumed.event_type in COMPENSATIONS
            assert leads_back == (consumed.step is Step.BACKWARD), consumed.event_type
