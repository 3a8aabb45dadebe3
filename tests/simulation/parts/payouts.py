from dataclasses import replace
from functools import partial
from typing import Any

from libs.kernel.clock import Clock
from libs.kernel.ids import IdFactory
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from services.payouts.infrastructure.consumers import participant, reactions
from tests.simulation.parts import Part
from tests.unit.payouts.memory import MemoryPayouts


class Payouts(UnitOfWork):
    def __init__(self, connection: Any, outbox: Outbox, clock: Clock, ids: IdFactory) -> None:
        super().__init__(connection, outbox)
        rows, due = connection.table("payouts"), connection.table("due")
        self.payouts = MemoryPayouts(clock(), rows, due, ids)


def part(clock: Clock, ids: IdFactory) -> Part:
    ours = replace(participant(), reactions=reactions(ids))
    return Part(ours, partial(Payouts, clock=clock, ids=ids))
