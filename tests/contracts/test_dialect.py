"""All services have the structure of the table "The shape of a service" in CONTRIBUTING, as far as
a test can read it from code.
"""

import ast
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import pytest

from deploy.services import SERVICES

Found = Iterator[tuple[Path, int, str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef

ROOT = Path(__file__).parents[2]
NO_SENTENCE = frozenset({"How", "Raises", "Returns", "What", "Whether", "Who", "Whose", "Why"})
"""A docstring that begins with one of these words is a phrase, or says half of what is done."""


def functions(tree: ast.AST) -> Iterator[Function]:
    return (each for each in ast.walk(tree) if isinstance(each, Function))


def classes(tree: ast.AST) -> Iterator[ast.ClassDef]:
    return (each for each in ast.walk(tree) if isinstance(each, ast.ClassDef))


def parsed(service: Path, pattern: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(service.glob(pattern)):
        yield path, ast.parse(path.read_text())


def unit_of_work(service: Path) -> Found:
    name = f"{service.name.capitalize()}UnitOfWork"
    for pattern, wanted in (
        ("application/ports.py", name),
        ("infrastructure/**/*.py", f"Postgres{name}"),
    ):
        files = list(parsed(service, pattern))
        if not any(each.name == wanted for _, tree in files for each in classes(tree)):
            yield service / pattern, 1, f"no class is named {wanted}"


def endpoints(service: Path) -> Found:
    for path, tree in parsed(service, "infrastructure/**/http*.py"):
        if not any(
            each.name == "Endpoints" for each in tree.body if isinstance(each, ast.ClassDef)
        ):
            yield path, 1, "endpoints are methods of one class Endpoints"


def use_cases(service: Path) -> Found:
    for path, tree in parsed(service, "application/*.py"):
        taking = [each for each in tree.body if isinstance(each, Function) and takes_uow(each)]
        for function in taking:
            if len(function.args.args) > 1:
                yield (
                    path,
                    function.lineno,
                    f"{function.name} takes an argument without its keyword",
                )
        names = [each.name for each in taking]
        if names and path.stem not in names:
            yield path, taking[0].lineno, f"no use case has the file's name, {path.stem}"


def takes_uow(function: Function) -> bool:
    public = not function.name.startswith("_")
    return public and [each.arg for each in function.args.args[:1]] == ["uow"]


def ports(service: Path) -> Found:
    for path, tree in parsed(service, "application/ports.py"):
        for function in functions(tree):
            answers_none = (
                function.returns is not None
                and "None" in ast.unparse(function.returns).split(" | ")[1:]
            )
            if answers_none and function.name.split("_")[0] in ("get", "lock"):
                yield (
                    path,
                    function.lineno,
                    f"{function.name} answers None: it raises, or its name begins with find",
                )
            if function.name.split("_")[0] == "page":
                names = [each.arg for each in function.args.args]
                if names[2:] != ["after", "limit"]:
                    yield (
                        path,
                        function.lineno,
                        f"{function.name} takes tenant, after and limit, then filters by keyword",
                    )


def versions(service: Path) -> Found:
    for path, tree in parsed(service, "domain/*.py"):
        for function in functions(tree):
            raising = any(
                isinstance(each, ast.Raise) and each.exc and ast.unparse(each.exc) == "StaleVersion"
                for each in ast.walk(function)
            )
            if raising and function.name != "check_version":
                yield (
                    path,
                    function.lineno,
                    f"{function.name} refuses a stale version: it is check_version that does",
                )


def sentences(service: Path) -> Found:
    for path, tree in parsed(service, "domain/errors.py"):
        for each in classes(tree):
            for text in texts(each):
                if not (text[0].isupper() or text[0] == "{") or not text.endswith((".", "}")):
                    yield (
                        path,
                        each.lineno,
                        f"{each.name} says a sentence, with a capital and a full stop",
                    )
    refused = {
        each.name for _, tree in parsed(service, "domain/errors.py") for each in classes(tree)
    }
    for path, tree in parsed(service, "**/*.py"):
        for call in (each for each in ast.walk(tree) if isinstance(each, ast.Call)):
            said = call.args and isinstance(call.args[0], (ast.JoinedStr, ast.Constant))
            if said and ast.unparse(call.func) in refused and " " in ast.unparse(call.args[0]):
                yield (
                    path,
                    call.lineno,
                    f"the sentence of {ast.unparse(call.func)} stands in its class",
                )


def texts(error: ast.ClassDef) -> Iterator[str]:
    for each in error.body:
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "text":
            yield ast.literal_eval(each.value)


def tables(service: Path) -> Found:
    for path, tree in parsed(service, "infrastructure/**/tables.py"):
        for each in (each for each in tree.body if isinstance(each, ast.Assign)):
            target, value = ast.unparse(each.targets[0]), ast.unparse(each.value)
            if value.startswith("service_tables(") and target != "(metadata, TABLES, IDEMPOTENCY)":
                yield path, each.lineno, "service_tables are metadata, TABLES, IDEMPOTENCY"
            if value.startswith("Table(") and target != target.lower():
                yield path, each.lineno, f"the table {target} has a lower-case name"


def roles(service: Path) -> Found:
    for path, tree in parsed(service, "**/*.py"):
        for call in (each for each in ast.walk(tree) if isinstance(each, ast.Call)):
            asks = isinstance(call.func, ast.Attribute) and call.func.attr in ("require", "may")
            if asks and any(isinstance(each, ast.Constant) for each in call.args):
                yield path, call.lineno, "a role is a constant"


def reactions(service: Path) -> Found:
    for path, tree in parsed(service, "infrastructure/consumers.py"):
        handlers = [each for each in functions(tree) if "_when_" in each.name]
        for one, other in combinations(handlers, 2):
            if [*map(ast.dump, one.body)] == [*map(ast.dump, other.body)]:
                yield (
                    path,
                    other.lineno,
                    f"{other.name} does what {one.name} does: they are rows with does=",
                )


def docstrings(folder: Path) -> Found:
    for path, tree in parsed(folder, "**/*.py"):
        for function in functions(tree):
            first = (ast.get_docstring(function) or "Return").split()[0]
            if first in NO_SENTENCE:
                yield (
                    path,
                    function.lineno,
                    f"{function.name} begins with {first}: say what it does",
                )


RULES: list[Callable[[Path], Found]] = [
    unit_of_work,
    endpoints,
    use_cases,
    ports,
    versions,
    sentences,
    tables,
    roles,
    reactions,
]


@pytest.mark.parametrize("service", [each.name for each in SERVICES])
def test_a_service_follows_the_convention(service: str) -> None:
    said = [
        f"{path.relative_to(ROOT)}:{line}: {sentence}"
        for rule in RULES
        for path, line, sentence in rule(ROOT / "services" / service)
    ]
    assert not said, "CONTRIBUTING, The shape of a service:\n" + "\n".join(said)


@pytest.mark.parametrize("folder", ["deploy", "libs", "services", "tests"])
def test_a_docstring_says_what_its_function_does(folder: str) -> None:
    said = [
        f"{path.relative_to(ROOT)}:{line}: {sentence}"
        for path, line, sentence in docstrings(ROOT / folder)
    ]
    assert not said, "\n".join(said)
