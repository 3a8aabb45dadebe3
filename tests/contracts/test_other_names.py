"""deploy/README.md maps other common command names to existing commands."""

import re

import yaml  # type: ignore[import-untyped]

from tests.documents.commands import commands_in, look_for
from tests.documents.sections import ROOT

README = ROOT / "deploy" / "README.md"
ROW = re.compile(r"^\| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
SAME_ADDRESSES = "`curl` to `POST /orders` and the others"


def rows() -> list[tuple[str, str]]:
    text = README.read_text().partition("## Commands by other names")[2]
    found = [(each[1], each[3]) for each in ROW.finditer(text)]
    return [row for row in found if row[0] != "command" and not row[0].startswith("---")]


def test_every_row_ends_with_commands_that_are_there() -> None:
    assert len(rows()) > 20
    for command, here in rows():
        lines = list(commands_in(here))
        assert lines or command == SAME_ADDRESSES, command
        for line in lines:
            look_for(line)


def test_every_task_of_the_cloud_is_what_a_make_target_is_called() -> None:
    tasks = yaml.safe_load((ROOT / "deploy" / "gcp" / "Taskfile.yml").read_text())["tasks"]
    table = dict(rows())
    assert {task: table.get(f"`make {task}`") for task in tasks} == {
        task: f"`./taskw gcp:{task}`" for task in tasks
    }
