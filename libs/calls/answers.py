"""This metric counts each answer of an external system."""

from collections.abc import Sequence
from itertools import product
from types import UnionType
from typing import get_args

from prometheus_client import Counter


class AnswerCounter:
    """An `AnswerCounter` counts answers by their class, and by the kind of call where there are
    several `calls`. `answers` is the union of the classes.
    """

    def __init__(
        self, name: str, text: str, answers: UnionType, *, calls: Sequence[str] = ()
    ) -> None:
        self._counter = Counter(name, text, ["call", "answer"] if calls else ["answer"])
        kinds = [_kind(answer) for answer in get_args(answers)]
        # A rate sees the first answer only of a counter that was there before it.
        for labels in product(*([calls] if calls else []), kinds):
            self._counter.labels(*labels)

    def count(self, answer: object, *call: str) -> None:
        self._counter.labels(*call, _kind(type(answer))).inc()


def _kind(answer: type) -> str:
    return answer.__name__.lower()
