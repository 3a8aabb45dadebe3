"""Finds the commands that a document names, and checks that they exist.

Each command is followed to the program that reads its words: through Taskfile.yml, compose.yaml and
the programs that hand words on. No command is run, but some programs are asked for their `--help`.
"""

import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from runpy import run_module
from typing import Any
from unittest.mock import patch
from warnings import catch_warnings

import typer
import yaml  # type: ignore[import-untyped]
from alembic.config import CommandLine

from deploy.services import SERVICES
from libs.runtime.server import RESEAL
from tests.documents.sections import ROOT

FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
BEGINS = re.compile(r"([A-Z_]+=\S+ )*(\./taskw|docker compose|python3? -m)\b")
SETTING = re.compile(r"[A-Z_]+=.*")
MODULE = re.compile(r"-m ([\w.]+)([^{]*)")
COMPOSE = {"up", "down", "stop", "start", "restart", "kill", "run", "exec", "logs", "ps", "build"}
TAKES_VALUE = {"--profile", "-f", "--file"}
"""These options of docker compose come before its command."""

HANDED_ON: Mapping[tuple[str, str], Sequence[str]] = {
    ("deploy.local", "migrate"): ("libs.runtime.migrations",),
    ("deploy.local", "dead"): ("libs.messaging", "dead"),
    ("deploy.local", "topology"): ("libs.messaging", "topology"),
}
"""These commands pass their words on to another program."""
IN_STAGES = (["plan"], ["apply"])
"""`migrate` does these over all services."""
APPS = {
    "deploy.cluster": "deploy.cluster.__main__",
    "deploy.local": "deploy.local.__main__",
    "deploy.local.migrating": "deploy.local.migrating",
    "deploy.docker": "deploy.docker.__main__",
    "deploy.gcp": "deploy.gcp.__main__",
    "libs.messaging": "libs.messaging.__main__",
    "services.portal.main": "services.portal.infrastructure.terminal",
    "tests.chaos": "tests.chaos.__main__",
    "tests.new": "tests.new.__main__",
}
"""Modules with a Typer application `app`, by the module that is run."""
ONLY: Mapping[str, set[str]] = {
    "services.customers.main": {"replay-erasures", RESEAL},
    "services.orders.main": {"recover-lost"},
    "services.vehicles.main": {RESEAL},
    "services.kpis.rebuild": set(),
    "deploy.audit": set(),
    "tests.bench": {"relay", "hop", "subscriber", "purchases"},
}
"""Programs without options, and the words that they know."""


class Unknown(Exception):
    """`Unknown` says in one line why a command does not exist."""


def commands_in(text: str) -> Iterator[str]:
    """Yield the lines of shell blocks and the spans of code that begin with a program of ours."""
    for language, block in FENCED.findall(text):
        if language in ("bash", "sh", "console"):
            lines = block.replace("\\\n", " ").splitlines()
            yield from (line.strip() for line in lines if BEGINS.match(line.strip()))
    for span in SPAN.findall(FENCED.sub("", text)):
        command = " ".join(span.split())
        if BEGINS.match(command):
            yield command


def look_for(command: str) -> None:
    """Check one command. Raises Unknown."""
    for part in re.split(r"&&|\|", command):
        words = shlex.split(part, comments=True)
        while words and SETTING.fullmatch(words[0]):
            words.pop(0)
        if words and "…" not in words:
            _program(words)


def _program(words: Sequence[str]) -> None:
    match list(words):
        case ["./taskw", *rest]:
            _task([word for word in rest if word != "--" and not SETTING.fullmatch(word)])
        case ["docker", "compose", *rest]:
            _compose(rest)
        case ["python" | "python3", "-m", module, *rest]:
            _module(module, rest)


def _task(words: Sequence[str]) -> None:
    tasks = _tasks()
    names = {alias: name for name, task in tasks.items() for alias in task.get("aliases", ())}
    if not words:
        return
    name, *arguments = words
    task = tasks.get(names.get(name, name))
    if task is None:
        raise Unknown(f"Taskfile.yml has no task {name}")
    line = str(task.get("cmd") or task["cmds"])
    if arguments and "CLI_ARGS" not in line:
        raise Unknown(f"the task {name} takes no arguments")
    if found := MODULE.search(line):
        _module(found[1], [*found[2].split(), *arguments])


@cache
def _tasks() -> Mapping[str, Mapping[str, Any]]:
    """Return the tasks of Taskfile.yml, and of the files that it includes, by their names."""
    main = _yaml("Taskfile.yml")
    found = dict(main["tasks"])
    for name, included in main.get("includes", {}).items():
        inside = _yaml(included["taskfile"])["tasks"]
        found |= {f"{name}:{task}": body for task, body in inside.items()}
    return found


def _compose(words: Sequence[str]) -> None:
    services = _services()
    rest = list(words)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        value = rest.pop(0) if option in TAKES_VALUE else ""
        profiles = {name for each in services.values() for name in each.get("profiles", ())}
        if option == "--profile" and value not in profiles:
            raise Unknown(f"compose.yaml has no profile {value}")
    if not rest:
        return
    command, *arguments = rest
    if command not in COMPOSE:
        raise Unknown(f"docker compose has no command {command}")
    names = [word for word in arguments if not word.startswith("-")]
    for name in names[:1] if command in ("run", "exec") else names:
        if name not in services:
            raise Unknown(f"compose.yaml has no service {name}")
    inside = arguments[arguments.index(names[0]) + 1 :] if names else []
    if command == "exec":
        _program(inside)
    elif command == "run" and names[0] in {spec.name for spec in SERVICES}:
        _module("deploy.docker", inside)


@cache
def _services() -> Mapping[str, Mapping[str, Any]]:
    """Return the services of compose.yaml and of the files that it includes."""
    main = _yaml("compose.yaml")
    files = [main, *(_yaml(each["path"]) for each in main.get("include", ()))]
    return {name: service for file in files for name, service in file["services"].items()}


def _module(module: str, words: Sequence[str]) -> None:
    arguments = [word for word in words if word != "--"]
    if module == "deploy.local" and arguments[:1] == ["migrate"] and arguments[1:2] in IN_STAGES:
        _module("deploy.local.migrating", arguments[1:])
    elif module == "deploy.local" and arguments[:1] == ["outbox"]:
        _outbox(arguments[1:])
    elif (way := HANDED_ON.get((module, arguments[0] if arguments else ""))) is not None:
        _module(way[0], [*way[1:], *arguments[1:]])
    elif module == "deploy.docker" and arguments[:1] == ["serve"]:
        if arguments[1] not in {spec.name for spec in SERVICES}:
            raise Unknown(f"there is no service {arguments[1]}")
        if arguments[2:]:
            _module(f"services.{arguments[1]}.main", arguments[2:])
    elif module == "libs.runtime.migrations":
        _alembic(arguments)
    elif module == "services.portal.main" and arguments == [RESEAL]:
        return
    elif module in APPS:
        if find_spec(APPS[module]) is None:
            raise Unknown(f"there is no module {APPS[module]}")
        app = typer.main.get_command(import_module(APPS[module]).app)
        _walk(app, arguments, module)
    elif module in ONLY:
        if unknown := set(arguments) - ONLY[module]:
            raise Unknown(f"{module} does not know {', '.join(sorted(unknown))}")
    elif find_spec(module) is None:
        raise Unknown(f"there is no module {module}")
    else:
        _asked(module, arguments)


def _outbox(words: Sequence[str]) -> None:
    """Check `outbox COMMAND SERVICE …`, or `outbox SERVICE`."""
    services = {spec.name for spec in SERVICES}
    if words and words[0] in services:
        return
    if len(words) > 1 and words[1] not in {*services, "SERVICE"}:
        raise Unknown(f"there is no service {words[1]}")
    _module("libs.messaging", ["outbox", *words[:1], *words[2:]])


def _walk(command: Any, words: Sequence[str], path: str) -> None:
    """Follow the groups of a Typer application down to the options of a command."""
    known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    for number, word in enumerate(words):
        if word.startswith("-"):
            if word.partition("=")[0] not in {*known, "--help"}:
                raise Unknown(f"{path} has no option {word}")
        elif hasattr(command, "commands"):
            if word not in command.commands:
                raise Unknown(f"{path} has no command {word}")
            _walk(command.commands[word], words[number + 1 :], f"{path} {word}")
            return


def _alembic(words: Sequence[str]) -> None:
    service, *command = words
    if service not in {spec.name for spec in SERVICES} | {"SERVICE"}:
        raise Unknown(f"there is no service {service}")
    try:
        with redirect_stderr(StringIO()) as said:
            CommandLine(prog="alembic").parser.parse_args(command)
    except SystemExit:
        raise Unknown(said.getvalue().splitlines()[-1]) from None


def _asked(module: str, words: Sequence[str]) -> None:
    """Check a program that reads its words with argparse: its `--help` names its options."""
    commands = [word for word in words[:1] if not word.startswith("-")]
    for option in (word for word in words if word.startswith("--")):
        if not re.search(rf"{re.escape(option)}\b", _help(module, *commands)):
            raise Unknown(f"{module} has no option {option}")


@cache
def _help(module: str, *commands: str) -> str:
    """Return the help from this process, because another one would import for seconds."""
    with (
        patch.object(sys, "argv", [module, *commands, "--help"]),
        redirect_stdout(StringIO()) as said,
        catch_warnings(action="ignore", category=RuntimeWarning),  # about a module imported before
        suppress(SystemExit),
    ):
        run_module(module, run_name="__main__")
    return said.getvalue()


@cache
def _yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())
