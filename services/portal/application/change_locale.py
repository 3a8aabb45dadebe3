"""A user chooses the language of the pages."""

from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.domain.user import known_locale


async def change_locale(
    uow: PortalUnitOfWork, *, tenant_id: str, user_id: UUID, locale: str
) -> None:
    """Store the user's language. Raises UserNotFound, InvalidUser."""
    user = await uow.users.lock(tenant_id, user_id)
    user.locale = known_locale(locale)
    await uow.users.save(user)
