"""Every refusal has a code, and the pages have a sentence for it in every language."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from string import Formatter

import pytest

import libs
from deploy.services import SERVICES
from libs.kernel.errors import CodedError, Conflict, Invalid, NotFound
from libs.runtime.field_errors import FAULTS, MALFORMED
from libs.runtime.problems import status_of
from services.portal.infrastructure.language import i18n
from services.portal.infrastructure.language.sentences import OTHERWISE, SENTENCES, Said, sentence

ROOT = Path(__file__).parents[2]
SENTENCES_FILE = "services/portal/infrastructure/language/sentences.py"
PLACEHOLDER = re.compile(r"%\((\w+)\)s")


def refusals_of(service: str) -> Iterator[type[CodedError]]:
    """Yield the service's and the libraries' refusals, without kinds that have no code."""
    for package in (libs, import_module(f"services.{service}")):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            if not re.search(r"__main__|\.rebuild$|\.migrations", module.name):
                import_module(module.name)
    waiting = list(CodedError.__subclasses__())
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith(("libs.", f"services.{service}.")) and hasattr(kind, "code"):
            yield kind


def params_of(service: str) -> dict[str, set[str]]:
    """Return the names of the parameters that may come with each code of the service."""
    found = {fault.code: set(fault.params) for fault in FAULTS.values()} | {MALFORMED: set()}
    for kind in refusals_of(service):
        names = {name for _, name, _, _ in Formatter().parse(kind.text) if name}
        found[kind.code] = found.get(kind.code, set()) | names
    return found


each_service = pytest.mark.parametrize("service", [spec.name for spec in SERVICES])


@each_service
def test_every_code_of_a_service_has_a_sentence_made_of_its_parameters(service: str) -> None:
    known = params_of(service)
    unsaid = known.keys() - SENTENCES.keys()
    assert not unsaid, f"add sentences for {unsaid} to SENTENCES in {SENTENCES_FILE}"
    for code, names in known.items():
        used = set(PLACEHOLDER.findall(SENTENCES[code]))
        assert used <= names, code


def test_no_sentence_is_for_a_code_that_nobody_refuses_with() -> None:
    known = {code for spec in SERVICES for code in params_of(spec.name)}
    assert SENTENCES.keys() - known == set()


@pytest.mark.parametrize("locale", i18n.TRANSLATED)
def test_every_sentence_is_there_in_every_language(locale: str) -> None:
    for text in {*SENTENCES.values(), OTHERWISE}:
        assert i18n.translated(text, locale) != text, text


@each_service
def test_a_refusal_of_a_service_has_a_code_of_its_own(service: str) -> None:
    """Pages and clients distinguish refusals by their code, so a whole kind's code will not do."""
    of_kinds = {kind.code for kind in (NotFound, Invalid, Conflict)}
    own = [
        kind
        for kind in refusals_of(service)
        if kind.__module__.startswith("services.") and not kind.__subclasses__()
    ]
    assert [kind.__name__ for kind in own if kind.code in of_kinds] == []
    raised = {
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "services" / service).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise)
        and isinstance(
            called := node.exc.func if isinstance(node.exc, ast.Call) else node.exc, ast.Name
        )
        and called.id in {"NotFound", "Invalid", "Conflict", "Forbidden"}
    }
    assert raised == set()


@each_service
def test_a_code_means_one_status(service: str) -> None:
    statuses: dict[str, set[int]] = {}
    for kind in refusals_of(service):
        statuses.setdefault(kind.code, set()).add(status_of(kind))
    assert {code for code, found in statuses.items() if len(found) > 1} == set()


def test_money_of_a_sentence_is_money_and_numbers_are_where_the_language_has_them() -> None:
    used = Said("in English", "credit-limit-below-use", {"used_cents": 123456})
    assert sentence(used, "pt") == (
        "O limite deve ser de pelo menos R$\xa01.234,56, que já estão em uso."
    )
    year = Said("in English", "year-out-of-range", {"least": 1886, "most": 2027})
    assert sentence(year, "es") == "El año debe estar entre 1886 y 2027."


@pytest.mark.parametrize(
    "unknown",
    [Said("Lot 7 has 3 wheels.", "wheels-missing"), Said("in English", "too-long", {"other": 3})],
)
def test_a_refusal_without_a_sentence_of_the_portal_is_not_shown_in_english(unknown: Said) -> None:
    shown = "Não funcionou. Confira o que você escreveu e tente de novo."
    assert sentence(unknown, "pt") == shown


def test_a_refusal_without_words_of_its_own_is_shown_all_the_same() -> None:
    """A page shows an error that is not empty."""
    for code in ("missing", ""):
        assert Said("", code)
        assert sentence(Said("", code), "en")
