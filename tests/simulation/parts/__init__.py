"""Each module here is the part in the simulation of the service of its name: its reactions, its
unit of work over a database in memory, with the real outbox and the unit tests' ports, and what it
holds of each purchase. `IMPOSSIBLE`, where a part has it, says which events never come together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any, NamedTuple
from uuid import UUID

from deploy.services import SERVICES
from libs.kernel.clock import Clock
from libs.kernel.ids import IdFactory
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from libs.messaging.saga.participant import Participant
from tests.simulation.money import Money

UnitFactory = Callable[[Any, Outbox], UnitOfWork]
Records = dict[UUID, Any]
"""By order id: rows that map a column's name to its value, as the rules of `./taskw verify` read
them.
"""


@dataclass(frozen=True)
class Seen:
    """A service's records follow from what is `Seen`. `rows` returns those of one of its tables."""

    rows: Callable[[str], Mapping[Any, Any]]
    money: Money
    now: datetime


def no_records(_seen: Seen) -> Records:
    """Return no records, for a service that only keeps views."""
    return {}


class Part(NamedTuple):
    participant: Participant
    unit: UnitFactory
    records: Callable[[Seen], Records] = no_records


def parts(clock: Clock, ids: IdFactory) -> Sequence[Part]:
    return [import_module(f"{__name__}.{spec.name}").part(clock, ids) for spec in SERVICES]
