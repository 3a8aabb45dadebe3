"""No event is lost in any order of tasks, whatever fails meanwhile."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.interleavings.loop import SeededLoop
from tests.simulation.interleavings.mutations import MUTATIONS
from tests.simulation.interleavings.proof import prove
from tests.simulation.interleavings.story import Story, Taken, run, runs
from tests.simulation.rules import InvariantBroken
from tests.simulation.test_simulation import seed_of

STEPS = 80_000
MANY_STEPS = 2_000_000
ENOUGH = 1_000_000
SEED = 1
RARE = (
    "the inbox is read first and written after the reaction",
    "messages that arrive while a subscription begins are discarded",
    "signals that came while a batch was in hand are forgotten",
)
"""These are found only after a hundred thousand steps and more."""
ROOT = Path(__file__).parents[3]
IN_ANOTHER_PROCESS = """
import sys

from tests.simulation.interleavings.story import Taken, run

taken = Taken()
run(int(sys.argv[1]), taken)
print(taken)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("steps", [STEPS, pytest.param(MANY_STEPS, marks=pytest.mark.long)])
def test_nothing_is_lost_in_whatever_order_tasks_run(
    pytestconfig: pytest.Config, steps: int
) -> None:
    seed = seed_of(pytestconfig)
    print(f"again: ./taskw soak --tasks --seed {seed} --steps {steps}")
    taken = Taken()
    for _ in runs(seed, steps, taken):
        pass
    assert taken.steps >= steps


def test_a_seed_runs_the_same_tasks_in_the_same_order(pytestconfig: pytest.Config) -> None:
    seed = seed_of(pytestconfig)
    first, again, other = Taken(), Taken(), Taken()
    run(seed, first)
    run(seed, again)
    run(seed + 1, other)
    assert first == again
    assert first.trace != other.trace


@pytest.mark.long
def test_a_seed_runs_the_same_tasks_in_another_process(pytestconfig: pytest.Config) -> None:
    """A fault that a test found must be found again by `soak`. Sets of text have another order in
    each process.
    """
    told = {
        subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS, str(seed_of(pytestconfig))],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout
        for _ in range(2)
    }  # fmt: skip
    assert len(told) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "sentence",
    [
        pytest.param(sentence, marks=[pytest.mark.long] if sentence in RARE else [])
        for sentence in MUTATIONS
    ],
)
def test_a_fault_of_interleaving_is_found(sentence: str) -> None:
    proof = prove(MUTATIONS[sentence], SEED, ENOUGH)
    assert proof.verdict == "found", proof


def test_a_subscriber_that_stops_while_it_connects_leaves_nothing_behind() -> None:
    async def stops_early(story: Story) -> None:
        await story.start("credit 0")
        await asyncio.sleep(story.loop.random.uniform(0, 0.04))
        await story.stop("credit 0")

    for seed in range(60):
        run(seed, Taken(), stops_early)


def test_a_broken_rule_names_its_seed() -> None:
    sentence = "the locks of a claim are let go before its events are confirmed"
    with MUTATIONS[sentence](), pytest.raises(InvariantBroken) as broken:
        run(SEED, Taken())
    assert broken.value.__notes__[-1].endswith(f"of seed {SEED}")


def test_tasks_take_turns_in_any_order_and_callbacks_in_theirs() -> None:
    def order(seed: int) -> str:
        loop, seen = SeededLoop(seed), list[str]()

        async def task(name: str) -> None:
            seen.append(name)

        async def both() -> None:
            for name in "123":
                loop.call_soon(seen.append, name)
            await asyncio.gather(*map(task, "abc"))

        loop.run_until_complete(both())
        loop.close()
        return "".join(seen)

    orders = {order(seed) for seed in range(50)}
    assert {each[:3] for each in orders} == {"123"}
    assert len(orders) == 6


def test_time_passes_without_waiting_and_a_deadlock_is_reported() -> None:
    loop = SeededLoop(SEED)
    loop.run_until_complete(asyncio.sleep(3600))
    assert 3600 <= loop.time() < 3601
    with pytest.raises(RuntimeError, match="every task waits"):
        loop.run_until_complete(loop.create_future())
    loop.close()
