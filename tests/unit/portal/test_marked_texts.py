"""Every text that the templates show is marked for translation."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import Environment

from services.portal.infrastructure.web.templating import TEMPLATES

SHOWN = ("alt", "aria-label", "content", "placeholder", "title", "value", "data-copied")
HOLE = "\x01"
SAME_IN_EVERY_LANGUAGE = {"Mercado Veículo", "R$", "ABC1D23", "ms", "text/html", "KB", "kB", "UTC"}
WORD = re.compile(r"[^\W\d_]{2,}")


class Texts(HTMLParser):
    """`Texts` are what a person reads: text outside scripts, and some attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("script", "style", "code", "kbd")
        given = dict(attrs)
        if tag == "meta" and given.get("name") != "description":
            return
        if given.get("type") in ("hidden", "radio", "checkbox"):
            given.pop("value", None)
        if tag == "option" or tag == "button":
            given.pop("value", None)
        self.found += [given[name] or "" for name in SHOWN if name in given]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style", "code", "kbd")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)


def unmarked(source: str) -> list[str]:
    """Return the texts that stand in a template as they are shown, without its expressions."""
    written = "".join(
        value if kind == "data" else HOLE * (kind == "variable_begin")
        for _, kind, value in Environment(extensions=["jinja2.ext.i18n"]).lex(source)
    )
    parser = Texts()
    parser.feed(written)
    pieces = [piece.strip(" \n·:|/()") for text in parser.found for piece in text.split(HOLE)]
    return [piece for piece in pieces if WORD.search(piece) and piece not in SAME_IN_EVERY_LANGUAGE]


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.name)
def test_a_template_shows_no_text_that_is_not_marked(path: Path) -> None:
    assert unmarked(path.read_text()) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("<p>Look again</p>", ["Look again"]),
        ('<p>{{ _("Look again") }}</p>', []),
        ('<a aria-label="Close {{ name }}">×</a>', ["Close"]),
        ("<p>{{ count }} waiting</p>", ["waiting"]),
        ("<title>Mercado Veículo</title><script>let x</script>", []),
    ],
)
def test_an_unmarked_text_is_found(source: str, found: list[str]) -> None:
    assert unmarked(source) == found
