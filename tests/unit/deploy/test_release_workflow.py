"""A release goes to homologation by itself, and to production after an approval."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[3]
COMMAND = re.compile(r"\./taskw ([a-z-]+)")


@pytest.fixture(scope="module")
def jobs() -> dict[str, dict[str, Any]]:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    assert workflow["env"] == {"MIGRATIONS": "approved"}
    found: dict[str, dict[str, Any]] = workflow["jobs"]
    return found


def commands(job: dict[str, Any]) -> str:
    return "\n".join(step.get("run", "") for step in job["steps"])


def test_each_stage_needs_the_one_before(jobs: dict[str, dict[str, Any]]) -> None:
    assert {name: job.get("needs") for name, job in jobs.items()} == {
        "checks": None,
        "homologation": "checks",
        "plan": "homologation",
        "production": "plan",
    }


def test_production_changes_only_where_reviewers_are_asked_and_only_as_planned(
    jobs: dict[str, dict[str, Any]],
) -> None:
    on_production = {name for name, job in jobs.items() if "production" in job["runs-on"]}
    assert on_production == {"plan", "production"}
    assert re.findall(r"migrate (\w+)", commands(jobs["plan"])) == ["plan"]
    assert jobs["production"]["environment"] == "production"
    assert '--approved-by "$approver" --plan "$PLAN"' in commands(jobs["production"])


@pytest.mark.parametrize("stage", ["homologation", "production"])
def test_a_stage_is_backed_up_before_its_schema_changes_and_verified_after(
    jobs: dict[str, dict[str, Any]], stage: str
) -> None:
    assert COMMAND.findall(commands(jobs[stage])) == ["backup", "migrate", "down", "up", "verify"]


def test_each_command_is_a_task(jobs: dict[str, dict[str, Any]]) -> None:
    tasks = yaml.safe_load((ROOT / "Taskfile.yml").read_text())["tasks"]
    used = {name for job in jobs.values() for name in COMMAND.findall(commands(job))}
    assert used <= tasks.keys()
