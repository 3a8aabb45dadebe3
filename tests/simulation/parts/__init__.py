"""Each service's part in the simulation, in a module of its name: its reactions, and its unit of
work over a database in memory, with the real outbox and the unit tests' ports.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from deploy.services import SERVICES
from libs.kernel.clock import Clock
from libs.kernel.ids import IdFactory
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from libs.messaging.saga.participant import Participant

UnitFactory = Callable[[Any, Outbox], UnitOfWork]


class Part(NamedTuple):
    participant: Participant
    unit: UnitFactory


def parts(clock: Clock, ids: IdFactory) -> Sequence[Part]:
    """The part of every service."""
    return [import_module(f"{__name__}.{spec.name}").part(clock, ids) for spec in SERVICES]
