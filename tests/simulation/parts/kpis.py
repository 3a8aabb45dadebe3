from libs.kernel.clock import Clock
from libs.kernel.ids import IdFactory
from services.kpis.infrastructure.consumers import participant
from tests.simulation.parts import Part
from tests.simulation.views import Kpis


def part(clock: Clock, ids: IdFactory) -> Part:
    return Part(participant(), Kpis)
