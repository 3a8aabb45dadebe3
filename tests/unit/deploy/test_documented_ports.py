"""README.md and docs/running.md name each port of compose.yaml, and the variable that moves it."""

import re
from pathlib import Path

from tests.fixtures.compose import compose_text

ROOT = Path(__file__).parents[3]
PUBLISHED = re.compile(r"127\.0\.0\.1:\$\{(\w+):-(\d+)\}")
ROW = re.compile(
    r"^\| [^|]+ \| (?:http://)?127\.0\.0\.1:(\d+)(?:/docs)? \| `(\w+)` \|$", re.MULTILINE
)


def test_each_published_port_is_named_once_with_the_variable_that_moves_it() -> None:
    published = sorted(set(PUBLISHED.findall(compose_text())))
    told = [
        (variable, port)
        for name in ("README.md", "docs/running.md")
        for port, variable in ROW.findall((ROOT / name).read_text())
    ]
    assert published
    assert sorted(told) == published
