"""The table of faults in tests/README.md names tests that exist."""

import re
from pathlib import Path

from tests.documents.named import functions_in

TESTS = Path(__file__).parents[1]
ROW = re.compile(r"^\| (\d+) \| .+ \| `([\w/]+\.py)::(\w+)` \|$", re.MULTILINE)


def test_each_fault_of_the_table_is_shown_by_a_test_that_is_there() -> None:
    rows = ROW.findall((TESTS / "README.md").read_text())
    numbers = [int(number) for number, _, _ in rows]
    assert set(range(1, 45)) <= set(numbers) <= set(range(1, 72))
    missing = [
        f"{path}::{name}" for _, path, name in rows if name not in functions_in(TESTS / path)
    ]
    assert not missing
