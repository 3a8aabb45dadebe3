"""After each loss of one part of a cluster, purchases flow again soon, and none
breaks an invariant.
"""

from itertools import islice

import pytest

from deploy.cluster.plan import REPLICAS
from deploy.cluster.system import check_programs
from deploy.servers.processes import StartFailed
from deploy.services import SERVICES
from tests.chaos.cluster_parts import BOUNDS, FIRST, THEN, Act, ClusterFault, Part, turns
from tests.chaos.cluster_run import Recovery, run


def test_the_same_seed_breaks_the_same_in_the_same_order_and_another_one_does_not() -> None:
    def first(seed: int) -> list[ClusterFault]:
        return list(islice(turns(seed), 20))

    assert first(7) == first(7)
    assert first(7) != first(8)


def test_every_kind_of_part_is_broken_before_one_is_broken_in_the_same_way_again() -> None:
    all_of_them = list(islice(turns(7), len(FIRST) + len(THEN)))

    assert len(set(all_of_them)) == len(all_of_them)
    assert {fault.part for fault in all_of_them} == set(Part)
    assert {fault.act for fault in all_of_them} == set(Act)


def test_whatever_a_process_of_a_service_does_another_one_does_too() -> None:
    for spec in SERVICES:
        roles = {each.role for each in REPLICAS if each.service == spec.name}
        assert {"all", "api", "worker"} <= roles


@pytest.mark.parametrize(
    ("act", "part", "seconds", "refused", "sentence"),
    [
        (Act.KILL, Part.BROKER, 4.9, 0, None),
        (Act.KILL, Part.BROKER, 5.1, 0, "after 5.1 s, more than 5 s"),
        (Act.KILL, Part.BROKER, 1.0, 1, "1 requests in vain"),
        (Act.KILL, Part.PRIMARY, 39.0, 9, None),
        (Act.KILL, Part.PRIMARY, 41.0, 9, "after 41.0 s, more than 40 s"),
        (Act.FREEZE, Part.DOOR, None, 0, "purchases did not flow again"),
    ],
)
def test_a_recovery_that_is_too_late_or_refuses_what_it_must_not_is_named(
    act: Act, part: Part, seconds: float | None, refused: int, sentence: str | None
) -> None:
    harm = Recovery(ClusterFault(act, part), "somewhere", seconds, refused).harm

    assert harm is None if sentence is None else harm is not None and harm.endswith(sentence)


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_no_purchase_suffers_when_a_broker_and_the_primary_are_killed() -> None:
    try:
        check_programs()
    except StartFailed as error:
        pytest.skip(str(error))
    result = await run(1, 600, print, most=len(FIRST))

    assert result.harm == []
    assert [each.rule for each in result.report.invariants if each.count] == []
    assert result.accepted == sum(result.ended.values()) > 0
    assert [(each.fault.act, each.fault.part) for each in result.recoveries] == list(FIRST)
    assert set(FIRST) <= set(BOUNDS)
