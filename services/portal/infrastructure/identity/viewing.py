"""The reader of a stream may lose the right to it, so the check is repeated while it runs."""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import UUID

from libs.kernel.errors import DomainError
from libs.runtime.auth import LEEWAY_SECONDS, Caller
from services.portal.domain.errors import UserNotFound
from services.portal.domain.timeline import Purchase
from services.portal.domain.user import User
from services.portal.infrastructure.identity import access
from services.portal.infrastructure.identity.sessions import caller_for
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork

MayView = Callable[[PostgresPortalUnitOfWork], Awaitable[bool]]


def by_session(session_id: UUID, may_see: Callable[[User], bool]) -> MayView:
    """Allow the reader as long as the session lasts and its user may see it."""

    async def may_view(uow: PostgresPortalUnitOfWork) -> bool:
        user = await uow.sessions.find_user(session_id)
        return user is not None and may_see(user)

    return may_view


def by_token(caller: Caller, may_see: Callable[[User], bool]) -> MayView:
    """Allow the reader while the token is valid and its user exists, is not disabled and may see
    it.
    """

    async def may_view(uow: PostgresPortalUnitOfWork) -> bool:
        if caller.until is not None and time.time() > caller.until + LEEWAY_SECONDS:
            return False
        with suppress(UserNotFound, ValueError):
            user = await uow.users.get(caller.tenant_id, UUID(caller.subject))
            return not user.is_disabled and may_see(user)
        return False

    return may_view


def may_read(purchase: Purchase) -> Callable[[User], bool]:
    """Return the JSON API's rule for the timeline of this purchase, as a condition on a user."""

    def may_see(user: User) -> bool:
        with suppress(DomainError):
            access.may_read_purchase(caller_for(user), purchase)
            return True
        return False

    return may_see
