"""Bars for a handful of numbers: where each stands in a drawing of 640 by 240."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 76, 12, 26, 30
WIDEST_BAR = 64
MARKS = 4


@dataclass(frozen=True)
class Point:
    """`value` None: there is none, which is not the same as nought."""

    label: str
    value: float | None


@dataclass(frozen=True)
class Bar:
    point: Point
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def negative(self) -> bool:
        return (self.point.value or 0) < 0


@dataclass(frozen=True)
class Mark:
    """A line of the scale."""

    value: float
    y: float


@dataclass(frozen=True)
class Chart:
    bars: Sequence[Bar]
    marks: Sequence[Mark]
    zero: float
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT


def chart(points: Sequence[Point]) -> Chart:
    """The scale begins at nought, or below where a value is negative, and ends at a round one."""
    values = [point.value for point in points if point.value is not None]
    step = _round_step(max([*values, 0.0]) - min([*values, 0.0]))
    if all(value == int(value) for value in values):
        step = max(step, 1.0)  # things that are counted have no halves
    low = step * math.floor(min([*values, 0.0]) / step)
    high = step * max(math.ceil(max([*values, 0.0]) / step), 1)
    room = HEIGHT - TOP - BOTTOM

    def y(value: float) -> float:
        return round(TOP + room * (high - value) / (high - low), 1)

    slot = (WIDTH - LEFT - RIGHT) / max(len(points), 1)
    width = min(slot * 0.7, WIDEST_BAR)
    bars = [
        Bar(
            point,
            x=round(LEFT + slot * (place + 0.5) - width / 2, 1),
            y=min(y(point.value or 0), y(0)),
            width=round(width, 1),
            height=round(abs(y(point.value or 0) - y(0)), 1),
        )
        for place, point in enumerate(points)
    ]
    count = round((high - low) / step)
    marks = [Mark(low + step * number, y(low + step * number)) for number in range(count + 1)]
    return Chart(bars, marks, y(0))


def _round_step(span: float) -> float:
    """1, 2 or 5 times a power of ten, so that about four fill the span."""
    if span <= 0:
        return 1.0
    rough = span / MARKS
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
