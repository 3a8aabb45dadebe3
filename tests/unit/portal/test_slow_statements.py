"""Slow statements are shown without values, and counted as one if they differ in values only."""

import pytest

from services.portal.infrastructure.store.slow_statements import (
    LONGEST_TEXT,
    SHOWN,
    SlowStatement,
    masked,
    slowest,
)


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("SELECT $1", "SELECT $1"),
        ("SELECT *\n  FROM orders\n WHERE id = $1", "SELECT * FROM orders WHERE id = $1"),
        ("SELECT 1 FROM x WHERE e = 'maria@example.com'", "SELECT ? FROM x WHERE e = ?"),
        ("SELECT 'it''s', E'a\\nb', 12.5", "SELECT ?, ?, ?"),
        ("SELECT $$Maria$$, $tag$Silva$tag$, $1", "SELECT ?, ?, $1"),
        (
            "DELETE FROM o WHERE s = ANY (ARRAY[$1, $2, $3])",
            "DELETE FROM o WHERE s = ANY (ARRAY[$…])",
        ),
        ("SELECT /* Maria */ a2, md5 -- Silva\nFROM t3", "SELECT a2, md5 FROM t3"),
        ('SELECT "2fold", t.c1 FROM t WHERE n > 5', 'SELECT "2fold", t.c1 FROM t WHERE n > ?'),
    ],
)
def test_a_statement_is_shown_on_one_line_and_without_values(statement: str, shown: str) -> None:
    assert masked(statement) == shown


def test_a_long_statement_is_cut() -> None:
    assert len(masked("SELECT " + "a, " * 1000)) == LONGEST_TEXT + 2


def test_statements_that_differ_in_the_length_of_a_list_count_as_one() -> None:
    found = [
        SlowStatement("orders", "DELETE FROM o WHERE s = ANY (ARRAY[$1, $2])", 3, 0.3, 6),
        SlowStatement("orders", "DELETE FROM o WHERE s = ANY (ARRAY[$1, $2, $3])", 1, 0.5, 3),
        SlowStatement("kpis", "DELETE FROM o WHERE s = ANY (ARRAY[$1, $2])", 1, 0.1, 2),
    ]
    first, second = slowest(found)
    assert (first.database, first.calls, first.rows) == ("orders", 4, 9)
    assert first.mean_ms == pytest.approx(200)
    assert second.database == "kpis"


def test_the_slowest_on_average_come_first_and_the_rest_is_left_out() -> None:
    found = [SlowStatement("orders", f"SELECT a{n}", 10, n, 1) for n in range(SHOWN + 5)]
    assert [each.statement for each in slowest(found)] == [
        f"SELECT a{n}" for n in range(SHOWN + 4, 4, -1)
    ]
