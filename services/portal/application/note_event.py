"""An event was heard: it takes its place in the timeline of what it is about."""

from services.portal.application.ports import PortalUnitOfWork
from services.portal.domain.timeline import Fact


async def note_event(uow: PortalUnitOfWork, fact: Fact) -> None:
    uow.timeline.note(fact)
