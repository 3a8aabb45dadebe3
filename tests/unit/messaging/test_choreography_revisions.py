"""`choreography diff` works on revisions of a git repository, with the document and before it."""

import json
import subprocess
from pathlib import Path

import pytest

from libs.messaging.__main__ import main
from libs.messaging.saga.choreography import read

PROJECT = """
[tool.messaging]
choreography = "data/choreography.json"
participants = ["shop:participant"]
"""
CODE = """
from dataclasses import dataclass
from types import SimpleNamespace
from pydantic import BaseModel

@dataclass
class Placed:
    type = "order.placed.v1"
    sequence: int
    cents: int

class View(BaseModel):
    cents: int

def reserve_credit_when_order_placed(): ...

def participant():
    reaction = SimpleNamespace(
        event_type="order.placed.v1", queue="shop.on.order.placed.v1", view=View,
        step=SimpleNamespace(value="view"), compensated_by=(), irrevocable=False, linger=0.5,
        handler=reserve_credit_when_order_placed,
    )
    reactions = SimpleNamespace(by_event={"order.placed.v1": reaction})
    return SimpleNamespace(name="shop", publishes=(Placed,), reactions=reactions, final=frozenset())
"""
DOCUMENT = {
    "format": 1,
    "participants": [
        {
            "name": "shop",
            "publishes": [
                {
                    "type": "order.placed.v1",
                    "direction": "forward",
                    "unconsumed": False,
                    "extensions": ["tenantid"],
                    "fields": {"cents": {"type": "integer", "required": True}},
                }
            ],
            "consumes": [
                {
                    "event_type": "order.placed.v1",
                    "queue": "shop.on.order.placed.v1",
                    "step": "view",
                    "compensated_by": [],
                    "irrevocable": False,
                    "batch_delay": 0.5,
                    "does": "reserve credit",
                    "extensions": ["tenantid"],
                    "keeps_all": False,
                    "fields": {"cents": {"type": "integer", "required": True}},
                }
            ],
        }
    ],
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a repository. Its first revision has only code; the second has that code's document."""
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    git("init", "--quiet", "--initial-branch", "main")
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "shop.py").write_text(CODE)
    commit("code-only")
    (tmp_path / "data").mkdir()
    write(DOCUMENT)
    commit("with-document")
    return tmp_path


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


def commit(tag: str) -> None:
    git("add", "--all")
    git("commit", "--quiet", "--message", tag)
    git("tag", tag)


def write(document: object) -> None:
    Path("data/choreography.json").write_text(json.dumps(document))


def write_without_cents() -> None:
    text = json.dumps(DOCUMENT)
    publishes = json.dumps(DOCUMENT["participants"][0]["publishes"][0]["fields"])  # type: ignore[index]
    write(json.loads(text.replace(publishes, "{}", 1)))


def diff(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["choreography", "diff", *arguments])
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.parametrize("base", ["with-document", "code-only", "HEAD~1"])
def test_an_unchanged_choreography_is_compatible_with_any_revision(
    repository: Path, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff("--base", base) == 0
    assert capsys.readouterr().out == f"0 changes since {base}, 0 of them breaking\n"


@pytest.mark.parametrize("base", ["with-document", "code-only"])
def test_a_breaking_change_is_exit_code_1_in_every_format(
    repository: Path, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_without_cents()
    assert read(Path("data/choreography.json")).participants[0].publishes[0].fields == {}
    assert diff("--base", base) == 1
    assert "BREAKING  order.placed.v1 of shop loses cents" in capsys.readouterr().out
    for form in ("json", "sarif"):
        assert diff("--base", base, "--format", form) == 1
        json.loads(capsys.readouterr().out)


def test_the_repository_is_left_as_it_was(repository: Path) -> None:
    before = sorted(path for path in repository.rglob("*") if path.is_file())
    diff("--base", "code-only")
    assert sorted(path for path in repository.rglob("*") if path.is_file()) == before


def test_a_version_that_cannot_be_compared_is_exit_code_2_and_one_line(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told() -> str:
        [line] = capsys.readouterr().err.splitlines()
        return line

    assert diff("--base", "nowhere") == 2
    assert told().startswith("error: nowhere is no revision: ")
    assert diff("--base", "--output=/tmp/x") == 2
    assert told().startswith("error: --output=/tmp/x is no revision: ")
    Path("shop.py").write_text("broken(")
    Path("data/choreography.json").unlink()
    commit("broken")
    write(DOCUMENT)
    assert diff("--base", "broken") == 2
    assert (
        told() == "error: the code of broken cannot be described: SyntaxError: '(' was never closed"
    )
    write("[]")
    assert diff("--base", "with-document") == 2
    assert told().startswith("error: data/choreography.json is no choreography: ")


def test_a_missing_base_or_an_unknown_format_is_exit_code_2(repository: Path) -> None:
    assert diff() == 2
    assert diff("--base", "HEAD", "--format", "xml") == 2


def test_outside_a_repository_it_is_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    document = tmp_path / "choreography.json"
    document.write_text(json.dumps(DOCUMENT))
    assert diff("--base", "HEAD", "--choreography", str(document)) == 2
    assert "not a git repository" in capsys.readouterr().err
