"""What the templates may not hold: anything from elsewhere, anything the policy forbids."""

import re
from pathlib import Path

import pytest

from services.portal.infrastructure import assets, templating

TEMPLATES = sorted(templating.TEMPLATES.glob("*.html"))
OWN_FILES = sorted(each for each in assets.FOLDER.rglob("*") if each.suffix in (".css", ".js"))
ELSEWHERE = re.compile(r"""(?:https?:)?//[\w.-]+\.\w""")
NAMESPACES = ("http://www.w3.org/",)
INLINE = re.compile(r"(?i)<style|<script(?![^>]*\ssrc=)|\sstyle\s*=|\son[a-z]+\s*=|javascript:")


@pytest.mark.parametrize("path", TEMPLATES + OWN_FILES, ids=lambda path: path.name)
def test_nothing_is_loaded_from_elsewhere(path: Path) -> None:
    text = path.read_text()
    for namespace in NAMESPACES:
        text = text.replace(namespace, "")
    assert ELSEWHERE.findall(text) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_script_and_no_style_stands_in_a_page(path: Path) -> None:
    assert INLINE.findall(path.read_text()) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_form_that_changes_something_carries_the_token(path: Path) -> None:
    for form in re.findall(r"<form\b.*?</form>", path.read_text(), re.DOTALL):
        if 'method="post"' in form:
            assert "csrf" in form, form[:80]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_template_can_be_read(path: Path) -> None:
    templating.environment("pt").get_template(path.name)
