"""Two checkouts run on one machine and share nothing."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.state import State, load_state
from deploy.servers.processes import recorded
from tests.integration.deploy.systems import command, own_place, private_only, run

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(400), private_only]


@pytest.fixture
def folders() -> Iterator[tuple[Path, Path]]:
    with own_place() as first, own_place() as second:
        yield first, second


def ports(state: State) -> set[int]:
    return {state.postgres, state.rabbitmq, state.management, *state.services.values()}


def test_two_systems_started_in_one_second_have_nothing_in_common(
    folders: tuple[Path, Path],
) -> None:
    starting = [command(folder, "up") for folder in folders]
    outputs = [process.communicate(timeout=300)[0] for process in starting]

    assert [process.returncode for process in starting] == [0, 0], "\n".join(outputs)
    first, second = (load_state(folder) for folder in folders)
    assert not ports(first) & ports(second)

    code, output = run(folders[0], "clean", "--yes")
    assert code == 0, output
    assert all(record.process() for record in recorded(folders[1]))
    assert all(
        httpx.get(f"{second.service_url(name)}/ready").is_success for name in second.services
    )
