"""A chart's bars are drawn below each other in proportion, each between its name and its value."""

import re
from collections.abc import Iterable
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from services.portal.infrastructure.web.charts import LONGEST_NAME, WIDTH, Point, bars
from services.portal.infrastructure.web.templating import environment

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*points: Point) -> ET.Element:
    return ET.fromstring(bars(points, "{:,.0f}".format))  # the text is our own


def points(*values: float | None) -> Iterable[Point]:
    return (Point(f"p{number}", value) for number, value in enumerate(values))


def rects(chart: ET.Element) -> list[tuple[float, float, float]]:
    """Return the left edge, width and top of each bar, the top bar first."""
    found = chart.iterfind(f".//{SVG}g[@class='bar']/{SVG}rect")
    places = [[float(rect.get(name, 0)) for name in ("x", "width", "y")] for rect in found]
    return sorted(((x, width, y) for x, width, y in places), key=lambda place: place[2])


def texts(chart: ET.Element, kind: str) -> list[str | None]:
    inside = f".//{SVG}text[@class='value']" if kind == "value" else f".//{SVG}g[@class='guides']/*"
    return [text.text for text in chart.iterfind(inside)][::-1]


def test_a_bar_twice_as_long_is_twice_the_value() -> None:
    (one_x, one, _), (two_x, two, _) = rects(drawn(*points(1_000, 2_000)))
    assert two == pytest.approx(2 * one)
    assert one_x == pytest.approx(two_x)


def test_each_bar_has_its_name_and_its_value() -> None:
    chart = drawn(Point("October", 1_000), Point("November", None), Point("December", 0))
    assert texts(chart, "name") == ["October", "November", "December"]
    assert texts(chart, "value") == ["1,000", "0"]


def test_a_negative_value_goes_the_other_way() -> None:
    (up_x, _, _), (down_x, down, _) = rects(drawn(*points(10, -5)))
    assert down_x + down == pytest.approx(up_x)


def test_rows_stand_apart_and_long_names_are_cut() -> None:
    chart = drawn(*(Point(f"{n} of a very long name indeed", n) for n in range(1, 13)))
    tops = [top for _, _, top in rects(chart)]
    assert all(below - above > 20 for above, below in pairwise(tops))
    for name in texts(chart, "name"):
        assert str(name).endswith("…")
        assert len(str(name)) <= LONGEST_NAME


@pytest.mark.parametrize("values", [(0,), (0.001,), (1e14, 3), (-1, None), tuple(range(12))])
def test_whatever_the_values_all_bars_lie_within_the_drawing(values: tuple[float, ...]) -> None:
    for x, width, _ in rects(drawn(*points(*values))):
        assert 0 <= x <= x + width <= WIDTH


@pytest.mark.parametrize("values", [(), (None, None)])
def test_without_a_value_there_is_no_chart(values: tuple[None, ...]) -> None:
    assert bars(list(points(*values)), str) == ""


def test_a_chart_brings_no_script_and_no_style_and_escapes_names() -> None:
    chart = str(bars([Point("<script>", 1)], str))
    assert not re.search(r"<script|<style|\sstyle=|<!--|\son\w+=", chart)
    assert "&lt;script&gt;" in chart


@pytest.mark.parametrize(
    ("locale", "unit", "value", "shown"),
    [
        ("pt", "cents", 221_850_100, "R$ 2.218.501"),
        ("es", "cents", 221_850_100, "R$ 2.218.501"),
        ("es", "percent", 62.5, "62,5 %"),
        ("en", "", 1_234, "1,234"),
    ],
)
def test_values_are_written_as_the_reader_writes_them(
    locale: str, unit: str, value: float, shown: str
) -> None:
    chart = environment(locale).filters["bars"]([Point("a", value)], unit)
    assert shown in chart
