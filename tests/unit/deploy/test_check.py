"""`./taskw check` runs every tool and fails if one of them fails. The tools here only
print their arguments.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
TOOLS = ("ruff", "mypy", "lint-imports", "deptry", "bandit")
TOOL = '#!/bin/sh\necho "${0##*/} ran"\ncase " $FAILING " in *" ${0##*/} "*) exit 1 ;; esac\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    programs = tmp_path / ".venv/bin"
    programs.mkdir(parents=True)
    (programs / "task").symlink_to(CHECKOUT / ".venv/bin/task")
    for name in TOOLS:
        (programs / name).write_text(TOOL)
        (programs / name).chmod(0o755)
    shutil.copy(CHECKOUT / "taskw", tmp_path)
    for file in ("Taskfile.yml", "deploy/gcp/Taskfile.yml"):  # the first includes the second
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / file, tmp_path / file)
    setup = tmp_path / "deploy/local/setup.sh"
    setup.parent.mkdir(parents=True, exist_ok=True)
    setup.touch()
    return tmp_path


def checked(checkout: Path, failing: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(checkout), "FAILING": failing}
    return subprocess.run(
        [checkout / "taskw", "check"], env=environment, capture_output=True, text=True, check=False
    )


def test_every_tool_runs_though_the_first_has_failed(checkout: Path) -> None:
    done = checked(checkout, "ruff deptry")
    assert [name for name in TOOLS if f"{name} ran" not in done.stdout] == []
    assert done.returncode != 0
    assert "check: failed: format, lint, packages (./taskw format mends what can be)" in done.stderr


def test_a_finding_of_the_last_tool_alone_fails_too(checkout: Path) -> None:
    done = checked(checkout, "bandit")
    assert done.returncode != 0
    assert "check: failed: weaknesses" in done.stderr
    assert "./taskw format" not in done.stderr


def test_all_that_passes_is_a_success(checkout: Path) -> None:
    done = checked(checkout, "")
    assert (done.returncode, done.stderr) == (0, "")
