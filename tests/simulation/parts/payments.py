from dataclasses import replace
from functools import partial
from typing import Any

from libs.kernel.clock import Clock
from libs.kernel.ids import IdFactory
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from services.payments.infrastructure.consumers import participant, reactions
from tests.simulation.parts import Part
from tests.simulation.terms import TERMS
from tests.unit.payments.memory import MemoryPayments


class Payments(UnitOfWork):
    def __init__(self, connection: Any, outbox: Outbox, clock: Clock, ids: IdFactory) -> None:
        super().__init__(connection, outbox)
        rows, due = connection.table("payments"), connection.table("due")
        self.payments = MemoryPayments(clock(), rows, due, ids)


def part(clock: Clock, ids: IdFactory) -> Part:
    paying = reactions(TERMS, ids, lambda _: ids().int & 2**75 - 1)
    return Part(replace(participant(), reactions=paying), partial(Payments, clock=clock, ids=ids))
