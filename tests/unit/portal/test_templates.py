"""The templates load nothing from other hosts, and contain nothing that the content
security policy forbids.
"""

import re
from pathlib import Path

import pytest

from services.portal.infrastructure.web import assets, templating

TEMPLATES = sorted(templating.TEMPLATES.rglob("*.html"))
STYLES = sorted(assets.STYLES.iterdir())
OWN_FILES = [
    *STYLES,
    *sorted(each for each in assets.FOLDER.glob("*.*") if each.suffix in (".css", ".js")),
]
LONGEST_LINE = 120
ELSEWHERE = re.compile(r"""(?:https?:)?//[\w.-]+\.\w""")
NAMESPACES = ("http://www.w3.org/",)
INLINE = re.compile(r"(?i)<style|<script(?![^>]*\ssrc=)|\sstyle\s*=|\son[a-z]+\s*=|javascript:")


@pytest.mark.parametrize("path", TEMPLATES + OWN_FILES, ids=lambda path: path.name)
def test_nothing_is_loaded_from_elsewhere(path: Path) -> None:
    text = path.read_text()
    for namespace in NAMESPACES:
        text = text.replace(namespace, "")
    assert ELSEWHERE.findall(text) == []


@pytest.mark.parametrize("path", OWN_FILES, ids=lambda path: path.name)
def test_no_line_is_too_long_to_be_read(path: Path) -> None:
    assert [line for line in path.read_text().splitlines() if len(line) > LONGEST_LINE] == []


def test_each_file_of_the_style_sheet_is_one_layer_and_is_served() -> None:
    assert {path.stem for path in STYLES} == set(assets.LAYERS)
    for path in STYLES:
        rules = re.sub(r"/\*.*?\*/\s*", "", path.read_text(), flags=re.DOTALL)
        assert rules.startswith(f"@layer {path.stem} {{\n"), path.name
        assert re.findall(r"^\S.*", rules, re.MULTILINE)[1:] == ["}"], path.name
    sheet = assets.assets()["portal.css"].content.decode()
    assert re.findall(r"^@layer (\w+)", sheet, re.MULTILINE) == list(assets.LAYERS)


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
    templating.environment("pt").get_template(path.relative_to(templating.TEMPLATES).as_posix())


@pytest.mark.parametrize(
    ("ms", "en", "pt"),
    [
        (750, "750 ms", "750 ms"),
        (-40, "-40 ms", "-40 ms"),
        (9_999, "9,999 ms", "9.999 ms"),
        (12_340, "12.3 s", "12,3 s"),
        (903_000, "15 min 3 s", "15 min 3 s"),
        (7_500_000, "2 h 5 min", "2 h 5 min"),
        (273_600_000, "3 d 4 h", "3 d 4 h"),
        (-90_000, "-1 min 30 s", "-1 min 30 s"),
    ],
)
def test_a_duration_keeps_its_second_unit(ms: int, en: str, pt: str) -> None:
    assert templating.environment("en").filters["duration"](ms) == en
    assert templating.environment("pt").filters["duration"](ms) == pt


def test_figures_are_in_the_notation_of_the_language() -> None:
    assert templating.environment("en").filters["tenths"](1234.56) == "1,234.6"
    assert templating.environment("es").filters["tenths"](0.04) == "0,0"
