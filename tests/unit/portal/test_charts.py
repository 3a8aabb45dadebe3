"""Bars stand on a scale that begins at nought and has room for all of them."""

import pytest

from services.portal.infrastructure.charts import HEIGHT, TOP, WIDTH, Point, chart


def points(*values: float | None) -> list[Point]:
    return [Point(str(number), value) for number, value in enumerate(values)]


def test_a_bar_twice_as_high_is_twice_the_value() -> None:
    one, two = chart(points(1_000, 2_000)).bars
    assert two.height == pytest.approx(2 * one.height, abs=0.2)
    assert one.y + one.height == pytest.approx(two.y + two.height)


def test_the_scale_begins_at_nought_and_has_round_marks() -> None:
    drawn = chart(points(137, 964))
    assert [mark.value for mark in drawn.marks] == [0, 500, 1000]
    assert drawn.marks[0].y == drawn.zero


def test_counts_are_marked_in_whole_numbers() -> None:
    assert [mark.value for mark in chart(points(2, 1)).marks] == [0, 1, 2]


def test_a_negative_value_hangs_below_the_line_of_nought() -> None:
    up, down = chart(points(10, -5)).bars
    assert up.y + up.height == pytest.approx(down.y)
    assert down.negative
    assert not up.negative


@pytest.mark.parametrize("values", [(), (0,), (None, None), (0.001,), (1e14, 3)])
def test_whatever_the_values_all_of_it_lies_within_the_drawing(values: tuple[float, ...]) -> None:
    drawn = chart(points(*values))
    assert all(TOP - 0.2 <= mark.y <= HEIGHT for mark in drawn.marks)
    for bar in drawn.bars:
        assert TOP - 0.2 <= bar.y <= HEIGHT
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH
