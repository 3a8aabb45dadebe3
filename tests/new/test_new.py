"""`./taskw new` writes a service and an event that pass every check, or it writes nothing."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.new.event import event_changes
from tests.new.places import ROOT
from tests.new.service import service_changes
from tests.new.written import Refused

PORTAL = "services/portal/infrastructure"


def untranslated(text: str) -> list[str]:
    return [
        f'"{text}" has no translation: after ./taskw translations, write it in'
        f" {PORTAL}/language/locales/{locale}.po"
        for locale in ("pt", "es")
    ]


OF_THE_SERVICE = untranslated("Trial")
OF_THE_EVENT = [
    "nothing causes PointsCredited: return it from a method of an entity in"
    " services/trial/domain, and publish it in a use case",
    "PointsCredited does not say what has happened: write its docstring",
    "tests/contracts/released has no copy of points.credited.v1: once its fields are settled, copy"
    " tests/contracts/trial/points.credited.v1.json there",
    *untranslated("Points credited"),
]
PLACES = "tests/contracts/test_places_of_a_service.py"
OWN_TESTS = "tests/unit/trial"
TESTS_OF_ALL = tuple(f"tests/contracts/test_{each}.py" for each in ("canvas", "samples", "dialect"))


class Checkout:
    """A `Checkout` holds the files that git has of this checkout, in a repository of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        self.git("init", "--quiet")
        self.commit()

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@example")
        return self.run("git", *who, *arguments)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "all")

    def changed(self) -> set[str]:
        """Return the files that are new or differ from the last commit."""
        listed = self.git("status", "--porcelain", "--untracked-files=all")
        return {line[3:] for line in listed.splitlines()}

    def python(self, *arguments: str, fails: bool = False) -> str:
        return self.run(sys.executable, "-m", *arguments, fails=fails)

    def run(self, *command: str, fails: bool = False) -> str:
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (ended.returncode != 0) == fails, ended.stdout
        return ended.stdout


def environment() -> Mapping[str, str]:
    """Return this environment without what pytest sets for the processes that it starts."""
    return {name: text for name, text in os.environ.items() if not name.startswith("PYTEST")}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git history here")
    return Checkout(tmp_path)


def left(printed: str) -> list[str]:
    """Return the sentences between the first line and the last one."""
    first, *sentences, last = printed.splitlines()
    assert first == "left to do:"
    assert last.startswith("./taskw new left trial")
    return sentences


def test_each_line_of_a_new_service_has_its_place_in_its_file() -> None:
    """A file that was edited may lack the line before which `lists.yaml` puts another one."""
    assert ROOT / ".env.example" in service_changes(ROOT, "trial", None)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_new_service_and_its_event_pass_every_check_and_what_is_left_is_said(
    checkout: Checkout,
) -> None:
    assert left(checkout.python("tests.new", "service", "trial")) == OF_THE_SERVICE
    check(checkout)
    fits = checkout.python("libs.messaging", "choreography", "--check")
    assert fits == "the services fit together\n"
    places_say(checkout, {"trial": OF_THE_SERVICE})

    printed = left(checkout.python("tests.new", "event", "trial", "points.credited.v1"))
    assert printed == OF_THE_EVENT
    check(checkout)
    assert checkout.python("libs.messaging", "choreography", "--check") == fits
    of_the_event = {"trial-points.credited.v1": OF_THE_EVENT}
    places_say(checkout, {"trial": OF_THE_SERVICE} | of_the_event)


def check(checkout: Checkout) -> None:
    """Check format, lint, types, imports, and the tests of the service that need no server."""
    tools = Path(sys.executable).parent
    checkout.run(str(tools / "ruff"), "format", "--check", "--quiet")
    checkout.run(str(tools / "ruff"), "check", "--quiet")
    checkout.run(str(tools / "mypy"), "services/trial", OWN_TESTS, "tests/integration/trial")
    checkout.run(str(tools / "lint-imports"))
    checkout.python("pytest", "-q", "-p", "no:cacheprovider", OWN_TESTS, *TESTS_OF_ALL)
    checkout.python("tests.documents", "--check")
    checkout.python("tests.kubernetes", "--check")


def places_say(checkout: Checkout, expected: Mapping[str, list[str]]) -> None:
    """Check that the test of places fails only for these subjects, with all that each lacks."""
    told = checkout.python("pytest", "-q", "-p", "no:cacheprovider", PLACES, fails=True)
    failed = re.findall(r"^FAILED \S+\[(\S+)\]", told, re.MULTILINE)
    assert sorted(failed) == sorted(expected), told
    for sentences in expected.values():
        assert [each for each in sentences if each not in told] == []


@pytest.mark.parametrize(
    ("name", "port", "why"),
    [
        ("Loyalty", None, "'Loyalty' is no name of a service: one word in lower case"),
        ("gift-cards", None, "'gift-cards' is no name of a service"),
        ("class", None, "class means something to Python or to Postgres"),
        ("user", None, "user means something to Python or to Postgres"),
        ("payouts", None, "services/payouts exists already"),
        ("events", None, "services/events exists already"),
        ("messaging", None, "tests/unit/messaging exists already"),
        ("db", None, "db is the name of a container or a volume in compose.yaml already"),
        ("trial", 8083, "port 8083 is taken: leave --port out for the next free one"),
        ("trial", 80, "80 is no port for a service: choose one from 1024 to 65535"),
    ],
)
def test_service_of_a_wrong_name_or_port_is_refused(name: str, port: int | None, why: str) -> None:
    with pytest.raises(Refused, match=why):
        service_changes(ROOT, name, port)


@pytest.mark.parametrize(
    ("service", "event_type", "why"),
    [
        ("orders", "order.returned", "'order.returned' is no type of an event"),
        ("orders", "Order.returned.v1", "'Order.returned.v1' is no type of an event"),
        ("trial", "points.credited.v1", "there is no service 'trial': there are orders, "),
        ("orders", "order.closed.v1", "orders publishes order.closed.v1 already"),
        ("orders", "vehicle.sold.v1", "vehicles publishes vehicle.sold.v1 already"),
    ],
)
def test_event_of_a_wrong_type_or_service_is_refused(
    service: str, event_type: str, why: str
) -> None:
    with pytest.raises(Refused, match=why):
        event_changes(ROOT, service, event_type)


def test_event_of_a_purchase_is_shown_on_its_page() -> None:
    written = event_changes(ROOT, "orders", "order.sent_back.v1")
    consumers, wording = list(written)[:2]
    assert written[consumers].count('    "order.sent_back.v1",\n)\nOF_A_PAYOUT') == 1
    assert written[wording].count('    "order.sent_back": marked("Order sent back"),\n}') == 1


@pytest.mark.parametrize("service", ["orders", "customers", "vehicles", "payments", "payouts"])
def test_event_is_added_to_what_each_service_publishes(service: str) -> None:
    written = event_changes(ROOT, service, "thing.happened.v1")
    *_, events, consumers, sample = written
    assert written[events].startswith(events.read_text()[:40])
    assert written[events].endswith('    type: ClassVar[str] = "thing.happened.v1"\n')
    assert written[consumers].count("ThingHappened") == (
        1 if "events.ThingHappened" in written[consumers] else 2
    )
    assert sample == ROOT / "tests" / "contracts" / service / "thing.happened.v1.json"
