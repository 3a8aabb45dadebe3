"""An admin makes a new user, or a buyer signs up."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from libs.kernel.ids import IdFactory
from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Act
from services.portal.domain.user import User, known_locale, known_roles, normal_email, normal_name


async def create_user(
    uow: PortalUnitOfWork,
    *,
    tenant_id: str,
    name: str,
    email: str,
    password_hash: str,
    roles: Iterable[str],
    locale: str,
    actor: str | None,
    new_id: IdFactory,
    now: datetime,
    customer_id: UUID | None = None,
) -> User:
    """Insert the user. `actor` is None when the user signs up. Raises InvalidUser, EmailTaken.

    The caller has checked the password (`check_password`) and hashed it, outside of any
    transaction.
    """
    user = User(
        id=new_id(),
        tenant_id=tenant_id,
        name=normal_name(name),
        email=normal_email(email),
        roles=known_roles(roles),
        customer_id=customer_id,
        locale=known_locale(locale),
        password_hash=password_hash,
        created_at=now,
    )
    await uow.users.add(user)
    await record_audit(
        uow,
        act=Act(tenant_id, actor or str(user.id), new_id(), now),
        action="user.created",
        target=str(user.id),
        details={"roles": " ".join(sorted(user.roles))},
    )
    return user
