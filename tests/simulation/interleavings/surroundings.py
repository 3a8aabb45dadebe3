"""Makes the process around a run repeatable: clocks, random numbers, logs, hashes."""

import asyncio
import gc
import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from unittest.mock import patch

from aio_pika import Connection, IncomingMessage, RobustChannel
from aiormq.abc import TaskWrapper

from libs.messaging.inbox import consumer, subscriber
from tests.simulation.interleavings import rules
from tests.simulation.interleavings.loop import HERE, SeededLoop
from tests.simulation.interleavings.statements import EPOCH
from tests.simulation.running import without_logs

BATCH = rules.PREFETCH // 2


class _Errors(logging.Handler):
    """Keeps what a part logs of an error that it did not expect."""

    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and (HERE.get(None) is None or not HERE.get().is_dead):
            self._into.append(self.format(record))


@contextmanager
def errors_logged(into: list[str]) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("libs.messaging", "aiormq", "aio_pika")]
    handler = _Errors(into)
    before = [(logger, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, propagate in before:
            logger.removeHandler(handler)
            logger.propagate = propagate


@contextmanager
def as_if_real(loop: SeededLoop, seed: int) -> Iterator[None]:
    """Make clocks and random numbers follow from the seed, and bounds small enough to be met."""
    state = random.getstate()
    random.seed(seed)
    with ExitStack() as stack:
        stack.callback(random.setstate, state)
        stack.callback(gc.unfreeze)
        gc.freeze()  # only objects of this run are searched for lost exceptions
        stack.enter_context(without_logs())
        for target, name, value in (
            (time, "monotonic", loop.time),
            (time, "time_ns", lambda: int((EPOCH.timestamp() + loop.time()) * 1e9)),
            (subscriber, "PREFETCH", rules.PREFETCH),
            (consumer, "BATCH", BATCH),
            (TaskWrapper, "__hash__", lambda wrapper: hash(wrapper.task)),
            (IncomingMessage, "__hash__", lambda message: message.delivery_tag or 0),
            (RobustChannel, "__hash__", _numbered(loop)),
            # It would close a killed process's connection, whenever the garbage is collected.
            (Connection, "__del__", lambda _: None),
        ):
            stack.enter_context(patch.object(target, name, value))
        yield


def _numbered(loop: SeededLoop) -> Callable[[Any], int]:
    """Return a hash that does not depend on where the object is in memory."""

    def number(thing: Any) -> int:
        if not hasattr(thing, "number_in_sets"):
            thing.number_in_sets = next(loop.numbers)
        return int(thing.number_in_sets)

    return number


def end(loop: SeededLoop) -> None:
    """Drop what a broken run left unfinished."""
    loop.after_step = None

    async def cancel(tasks: set[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=1)

    for _ in range(10):
        if tasks := asyncio.all_tasks(loop):
            with suppress(RuntimeError):  # a run broken at its end has left a call of `stop`
                loop.run_until_complete(cancel(tasks))
    loop.close()
