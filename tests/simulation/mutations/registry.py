"""Lists all mutations, each by a sentence that says what is broken."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

Mutation = Callable[[], AbstractContextManager[object]]
MUTATIONS: dict[str, Mutation] = {}


def mutation(sentence: str) -> Callable[[Mutation], Mutation]:
    def register(found: Mutation) -> Mutation:
        MUTATIONS[sentence] = found
        return found

    return register


async def nothing(*_: Any, **__: Any) -> None:
    """Do nothing, in place of a reaction."""
