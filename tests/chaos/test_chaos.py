"""The same seed gives the same schedule of faults, and a short chaos run breaks no invariant."""

import pytest

from deploy.services import SERVICES
from tests.chaos.run import run
from tests.chaos.schedule import PROCESSES, SERVERS, Kind, schedule

SECONDS = 15


def test_the_same_seed_makes_the_same_schedule_and_another_one_another() -> None:
    assert schedule(7, 60) == schedule(7, 60)
    assert schedule(7, 60) != schedule(8, 60)


def test_a_longer_run_begins_as_the_shorter_one() -> None:
    short, long = schedule(7, 20), schedule(7, 120)

    assert long[: len(short)] == short


def test_every_part_is_killed_before_anything_else_happens() -> None:
    every = [*PROCESSES, *SERVERS]
    first = schedule(7, 120)[: len(every)]

    assert {fault.kind for fault in first} == {Kind.KILL}
    assert sorted(fault.part for fault in first) == sorted(every)
    assert {spec.name for spec in SERVICES} <= set(every)


def test_all_kinds_of_faults_have_their_turn() -> None:
    faults = schedule(7, 120)

    assert {fault.kind for fault in faults} == set(Kind)
    assert all(1 <= fault.at < 120 for fault in faults)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_no_purchase_suffers_when_every_part_is_killed() -> None:
    result = await run(1, SECONDS, print)

    assert result.harm == []
    assert [each.rule for each in result.report.invariants if each.count] == []
    assert result.accepted == sum(result.ended.values()) > 0
    assert result.injected.total() == len(result.faults)
    assert result.recovery is not None
