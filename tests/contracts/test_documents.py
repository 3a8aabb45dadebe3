"""The documents in docs/ agree with the code, and the things they name exist."""

import re
import sys
from pathlib import Path

import pytest

from deploy.services import SERVICES
from services.orders.domain.states import State
from tests.documents import sections
from tests.documents.__main__ import main as command
from tests.documents.commands import Unknown, commands_in, look_for
from tests.documents.named import functions_in
from tests.documents.sections import (
    ROOT,
    SECTIONS,
    SectionMissing,
    documents,
    with_section,
)
from tests.security.matrix import ENDPOINTS, EVERYWHERE, OUTBOX

DOCUMENTS = sorted((ROOT / "docs").rglob("*.md"))
README = ROOT / "README.md"
DECISIONS = ROOT / "docs" / "adr" / "README.md"
PAGES = [path for path in DOCUMENTS if path.parent == DECISIONS.parent and path != DECISIONS]
PARTS = ("Context", "Decision", "Alternatives", "Consequences")
GENERATED = re.compile(r"<!-- [\w ]+:begin .*?:end -->", re.DOTALL)
OTHERS = sorted(
    [
        *ROOT.glob("*.md"),
        *(file for name in ("services", "deploy", "tests") for file in (ROOT / name).rglob("*.md")),
    ]
)
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
ENDPOINT = re.compile(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`?]*)(?:\?[^`]*)?`")
METRIC = re.compile(r"`((?:[a-z]+_)+(?:total|seconds|rows|timestamp_seconds))`")
SETTING = re.compile(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`")
DEFINED = re.compile(r"^(?:# )?([A-Z][A-Z0-9_]+)=", re.MULTILINE)
ALERT = re.compile(r"^ *- alert: (\w+)$", re.MULTILINE)
ROW = re.compile(r"^\| `(\w+)` \| .+ \|$", re.MULTILINE)
OF_OTHER_PROGRAMS = {"ALL_PROXY", "COMPOSE_PROFILES", "HTTP_PROXY"}
SHOWN_BY = "shown by |"
SHOWS = {"cloud.md", "data-security.md", "saga-report.md"}
"""These documents say what holds, and by which test."""


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=named)
each_text = pytest.mark.parametrize("path", [*DOCUMENTS, *OTHERS], ids=named)
each_decision = pytest.mark.parametrize("path", PAGES, ids=named)


def test_the_generated_files_are_as_the_code_says() -> None:
    stale = [path.name for path, text in documents().items() if path.read_text() != text]
    assert not stale, "run ./taskw documents"


def test_the_command_says_what_is_stale_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    written = {name: SECTIONS[name] for name in ("docs/saga-report.md", "docs/operations.md")}
    monkeypatch.setattr(sections, "SECTIONS", written)
    (tmp_path / "docs").mkdir()
    for name in written:
        text = (ROOT / name).read_text()
        (tmp_path / name).write_text(re.sub(r"\| \*\*all\*\* \| \d+ \|", "| **all** | 0 |", text))
    before = (tmp_path / "docs" / "saga-report.md").read_text()
    monkeypatch.setattr(sys, "argv", ["documents", "--check"])
    with pytest.raises(SystemExit) as ended:
        command(tmp_path)
    assert ended.value.code == 1
    assert capsys.readouterr().err == "docs/saga-report.md is stale: run ./taskw documents\n"
    assert (tmp_path / "docs" / "saga-report.md").read_text() == before


def test_a_document_without_a_place_for_its_section_is_named() -> None:
    with pytest.raises(SectionMissing, match=r"here\.md has no section between .*sizes:begin"):
        with_section("no markers", "sizes", "content", where="here.md")


@each_text
def test_every_test_that_is_named_is_there(path: Path) -> None:
    named = TEST.findall(path.read_text())
    missing = [
        f"{file}::{name}" if name else file
        for file, name in named
        if not (ROOT / file).exists() or (name and name not in functions_in(ROOT / file))
    ]
    assert not missing


@each_document
def test_every_row_of_what_holds_names_its_test(path: Path) -> None:
    """Each row of a table whose last column is `shown by` ends with a test or a command."""
    rows = list(_rows_of_what_holds(path.read_text()))
    unshown = [row for row in rows if not re.search(r"\| `(tests/|\./taskw )[^|]+ \|$", row)]
    assert not unshown
    assert rows or path.name not in SHOWS


@each_text
def test_every_command_that_is_named_is_known(path: Path) -> None:
    unknown = []
    for line in commands_in(path.read_text()):
        try:
            look_for(line)
        except Unknown as error:
            unknown.append(f"{line}: {error}")
    assert not unknown


@pytest.mark.parametrize(
    "line",
    [
        "./taskw nope",
        "./taskw dead lst",
        "./taskw dead list --al",
        "./taskw outbox list nobody",
        "./taskw rebuild now",
        "./taskw migrate orders upgrad head",
        "./taskw topology chek",
        "./taskw soak --sed 3",
        "./taskw bench hops",
        "./taskw down && ./taskw upp",
        "docker compose stop vehicle",
        "docker compose --profile x up",
        "docker compose begin",
        "docker compose exec portal python -m deploy.docker serve portal rotate-key",
        "docker compose run --rm customers serve customers replay-erasure",
        "python -m libs.nothing",
    ],
)
def test_a_command_that_is_not_there_is_noticed(line: str) -> None:
    assert list(commands_in(f"Run `{line}` then.")) == [line]
    with pytest.raises(Unknown):
        look_for(line)


@each_document
def test_every_endpoint_that_is_named_is_there(path: Path) -> None:
    there_are = {*EVERYWHERE, *OUTBOX, *(each for rows in ENDPOINTS.values() for each in rows)}
    assert not set(ENDPOINT.findall(path.read_text())) - there_are


@each_document
def test_every_setting_that_is_named_is_in_the_example_of_settings(path: Path) -> None:
    """A command's own variable may be named too. A secret `NAME` may be given as `NAME_FILE`."""
    example = {*DEFINED.findall((ROOT / ".env.example").read_text()), "NAME", *map(str, State)}
    commands = "".join(file.read_text() for file in (ROOT / "deploy").rglob("*.py"))
    missing = [
        name
        for name in SETTING.findall(path.read_text())
        if name.removesuffix("_FILE") not in example | OF_OTHER_PROGRAMS
        and f'"{name}"' not in commands
    ]
    assert not missing


@each_document
def test_every_metric_that_is_named_is_exported(path: Path) -> None:
    code = "".join(
        file.read_text() for name in ("libs", "services") for file in (ROOT / name).rglob("*.py")
    )
    named = {name.removesuffix("_total") for name in METRIC.findall(path.read_text())}
    assert not [name for name in named if not re.search(rf'"{name}(_total)?"', code)]


def test_every_alert_has_its_row_in_the_runbook_and_no_other() -> None:
    rules = (ROOT / "deploy" / "observability" / "alerts.yml").read_text()
    runbook = (ROOT / "docs" / "operations.md").read_text()
    section = runbook.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    assert sorted(ROW.findall(section)) == sorted(ALERT.findall(rules))


@each_text
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in LINK.findall(FENCED.sub("", path.read_text())):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        name, _, heading = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), target
        if heading:
            headings = HEADING.findall(file.read_text())
            assert heading in {_anchor(each) for each in headings}, target


def test_the_readme_is_read_in_five_minutes() -> None:
    """Lines of the generated drawing may be long. Each service may take six lines: an address, one
    line in the drawing, and four arrows.
    """
    text = README.read_text()
    assert len(text.splitlines()) <= 120 + 6 * len(SERVICES)
    assert not [line for line in GENERATED.sub("", text).splitlines() if len(line) > 120]


@each_decision
def test_each_decision_is_one_page_of_four_parts(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 40
    parts = [text.find(f"\n**{name}") for name in PARTS]
    assert -1 not in parts
    assert parts == sorted(parts)


def test_the_index_of_decisions_lists_each_under_its_title() -> None:
    titles = {path.name: path.read_text().splitlines()[0] for path in PAGES}
    entries = {f"- [{title.removeprefix('# ')}]({name})" for name, title in titles.items()}
    lines = DECISIONS.read_text().splitlines()
    assert {line for line in lines if line.startswith("- [")} == entries


def _rows_of_what_holds(text: str) -> list[str]:
    rows, inside = [], False
    for line in text.splitlines():
        if line.startswith("|") and line.endswith(SHOWN_BY):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not re.fullmatch(r"[|\s-]+", line):
            rows.append(line)
    return rows


def _anchor(heading: str) -> str:
    """Return the anchor that code forges make of a heading."""
    words = re.sub(r"[^\w\s-]", "", heading.lower())
    return words.strip().replace(" ", "-")
