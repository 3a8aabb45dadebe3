"""The read model is built again from the facts, while the service goes on consuming events.

Each batch has a few subjects and a transaction of its own. A reaction and a batch that meet wait
for each other at the subject's row; the batch then sees the reaction's fact.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, TypeVar
from uuid import UUID

from services.kpis.application.ports import KpisUnitOfWork

Answer = TypeVar("Answer")


class RunsWork(Protocol):
    async def run(self, work: Callable[[KpisUnitOfWork], Awaitable[Answer]]) -> Answer:
        """Do `work` in a transaction and commit it."""


async def rebuild_read_model(transactions: RunsWork, *, at_once: int = 500) -> int:
    """Return the number of subjects that have facts. This may run again at any time."""
    done = 0
    after: UUID | None = None
    while True:
        subjects = await transactions.run(partial(_rebuild, after=after, limit=at_once))
        if not subjects:
            break
        done, after = done + len(subjects), subjects[-1]
    await transactions.run(lambda uow: uow.read_model.forget_what_no_fact_says())
    return done


async def _rebuild(uow: KpisUnitOfWork, *, after: UUID | None, limit: int) -> list[UUID]:
    """Delete rows before reading facts: whoever changes a row afterwards finds the new one and adds
    to it.
    """
    subjects = list(await uow.facts.subjects(after, limit))
    await uow.read_model.forget(subjects)
    await uow.read_model.fold(await uow.facts.of(subjects))
    return subjects
