"""README.md names each port of compose.yaml, with the variable that moves it."""

import re
from pathlib import Path

from tests.fixtures.compose import compose_text

ROOT = Path(__file__).parents[3]
PUBLISHED = re.compile(r"127\.0\.0\.1:\$\{(\w+):-(\d+)\}")
ROW = re.compile(
    r"^\| [^|]+ \| (?:http://)?127\.0\.0\.1:(\d+)(?:/docs)? \| `(\w+)` \|$", re.MULTILINE
)


def test_the_readme_names_each_published_port_and_the_variable_that_moves_it() -> None:
    published = dict(PUBLISHED.findall(compose_text()))
    told = {variable: port for port, variable in ROW.findall((ROOT / "README.md").read_text())}
    assert published
    assert told == published
