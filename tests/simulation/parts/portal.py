from dataclasses import replace

from libs.kernel.clock import Clock
from libs.kernel.ids import IdFactory
from services.portal.infrastructure.consumers import participant, reactions
from tests.simulation.parts import Part
from tests.simulation.views import Portal


def part(clock: Clock, ids: IdFactory) -> Part:
    return Part(replace(participant(), reactions=reactions(ids, clock)), Portal)
