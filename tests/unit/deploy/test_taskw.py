import shutil
import subprocess
from pathlib import Path

import pytest

TASKW = Path(__file__).parents[3] / "taskw"
TASK = """#!/bin/sh
printf '%s|' "$@"
printf 'RUNTIME=%s|in %s' "${RUNTIME-}" "$PWD"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout whose Task only prints its arguments."""
    folder = tmp_path / "a checkout"
    (folder / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(TASKW, folder)
    task = folder / ".venv" / "bin" / "task"
    task.write_text(TASK)
    task.chmod(0o755)
    return folder


def called(checkout: Path, *arguments: str) -> str:
    done = subprocess.run(
        [checkout / "taskw", *arguments],
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.removesuffix(f"in {checkout}")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "|RUNTIME=|"),
        (["--list"], "--list|RUNTIME=|"),
        (["up"], "--exit-code|up|--|RUNTIME=|"),
        (["demo", "--keep"], "--exit-code|demo|--|--keep|RUNTIME=|"),
        (["demo", "--", "--keep"], "--exit-code|demo|--|--keep|RUNTIME=|"),
        (["migrate", "orders", "--", "downgrade", "-1"],
         "--exit-code|migrate|--|orders|downgrade|-1|RUNTIME=|"),
        (["test", "-k", "a b or *"], "--exit-code|test|--|-k|a b or *|RUNTIME=|"),
        (["up", "RUNTIME=local"], "--exit-code|up|--|RUNTIME=local|"),
        (["test", "--", "--", "X=1"], "--exit-code|test|--|--|X=1|RUNTIME=|"),
        (["bench", "purchases", "RUNTIME=local"], "--exit-code|bench|--|purchases|RUNTIME=local|"),
        (["RUNTIME=local", "up"], "--exit-code|up|--|RUNTIME=local|"),
        (["demo", "RUNTIME=a b", "--keep"], "--exit-code|demo|--|--keep|RUNTIME=a b|"),
        (["test", "--", "RUNTIME=local"], "--exit-code|test|--|RUNTIME=local|RUNTIME=|"),
        (["test", "-k", "A or B=1", "randomly_seed=7", "1A=2", "=3"],
         "--exit-code|test|--|-k|A or B=1|randomly_seed=7|1A=2|=3|RUNTIME=|"),
    ],
)  # fmt: skip
def test_arguments_reach_the_task_as_they_were_meant(
    checkout: Path, arguments: list[str], expected: str
) -> None:
    assert called(checkout, *arguments) == expected


def test_link_to_taskw_runs_in_the_checkout(checkout: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(checkout / "taskw")

    done = subprocess.run([link, "up"], cwd="/", capture_output=True, text=True, check=True)

    assert done.stdout.endswith(f"in {checkout}")
