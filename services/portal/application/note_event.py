"""A consumed event becomes part of the timeline of its subject."""

from services.portal.application.ports import PortalUnitOfWork
from services.portal.domain.timeline import Fact


async def note_event(uow: PortalUnitOfWork, *, fact: Fact) -> None:
    uow.timeline.note(fact)
