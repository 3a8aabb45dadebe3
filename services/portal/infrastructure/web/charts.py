"""Pygal draws a few numbers as bars, in SVG inside the page."""

import sys
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from xml.etree import ElementTree as ET  # nosec B405  # no XML is parsed

import pygal
from markupsafe import Markup
from pygal.style import Style

sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, pygal.PluginImportFixer)]
"""Pygal adds an import hook for its maps, which is removed. The hook has the form of Python 3.3,
and a program that asks all hooks (pytest does) fails on it.
"""

WIDTH, ROW, EDGE = 360, 30, 4
"""These sizes of the drawing are in units, each of which is a pixel on a narrow telephone. Each bar
has a row of its own, with its name on the left and its value at its end, so that no two texts
overlap.
"""
TEXT = 12
LONGEST_NAME = 24
LETTER = 7.6
"""A letter has this width at that size; only the widest letter takes more."""
LEAST_FOR_BARS = 60
LEFT_OUT, TOOLTIP = {"defs", "desc", "title"}, "tooltip-overlay"
"""Styles, scripts and what the scripts read are left out: pages contain none, and have their own
style sheet.
"""


@dataclass(frozen=True)
class Point:
    """`value` is None where there is none, which differs from zero."""

    label: str
    value: float | None


def bars(points: Sequence[Point], show: Callable[[float], str]) -> Markup:
    """Draw one bar for each point, the first on top, or nothing where no point has a value. `show`
    formats a value for people.
    """
    values = [point.value for point in reversed(points) if point.value is not None]
    if not values:
        return Markup()
    names = [_short(point.label) for point in reversed(points)]
    low, high = min([*values, 0.0]), max([*values, 0.0])
    beside = LETTER * max(len(show(value)) for value in values)
    between = WIDTH - 2 * EDGE - LETTER * max(map(len, names)) - beside
    room = ((high - low) or 1.0) * beside / max(between, LEAST_FOR_BARS)
    chart = pygal.HorizontalBar(
        width=WIDTH,
        height=ROW * len(points) + 2 * EDGE,
        margin=EDGE,
        range=(low, high + room),
        style=Style(label_font_size=TEXT, value_font_size=TEXT, font_family="sans-serif"),
        print_values=True,
        print_values_position="top",
        value_formatter=show,
        show_legend=False,
        show_x_labels=False,
        js=(),
        css=(),
        classes=("chart",),
        no_prefix=True,
    )
    chart.x_labels = names
    chart.add("", [point.value for point in reversed(points)])
    return Markup(_drawn(chart.render_tree()))  # noqa: S704  # nosec B704  # texts are escaped


def _short(name: str) -> str:
    """Return the text, shortened where it is wider than LONGEST_NAME letters of average width."""
    widths = list(
        accumulate(
            1.7 if letter in "MWmw%@" else 1.3 if letter.isupper() else 1.0 for letter in name
        )
    )
    if not widths or widths[-1] <= LONGEST_NAME:
        return name
    return name[: bisect(widths, LONGEST_NAME - 1)].rstrip() + "…"


def _drawn(root: ET.Element) -> str:
    """Return the drawing, hidden from screen readers, because the table beside it says the same."""
    drawn, written = (
        root.iterfind(".//g[@class='bar']/rect"),
        root.iterfind(".//text[@class='value']"),
    )
    for bar, text in zip(drawn, written, strict=True):
        end = float(bar.get("x", 0)) + float(bar.get("width", 0))
        text.attrib |= {"x": str(end + EDGE), "text-anchor": "start"}
    root.attrib |= {"aria-hidden": "true", "focusable": "false"}
    root.attrib.pop("id", None)
    for parent in list(root.iter()):
        for child in list(parent):
            is_comment = not isinstance(child.tag, str)
            if is_comment or child.tag in LEFT_OUT or TOOLTIP in child.get("class", ""):
                parent.remove(child)
    return ET.tostring(root, encoding="unicode")
