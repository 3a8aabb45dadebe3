"""A new key signs the tokens. The key before it stays published until its tokens have expired."""

from collections.abc import Callable
from datetime import datetime, timedelta

from services.portal.application.ports import PortalUnitOfWork
from services.portal.domain.signing_key import PUBLISHED_BEFORE_USE, SigningKey

MakeKey = Callable[[datetime], SigningKey]
"""This function makes a new key that signs from this instant."""


async def rotate_signing_key(
    uow: PortalUnitOfWork, *, make_key: MakeKey, token_lifetime: timedelta, now: datetime
) -> SigningKey:
    """Add a key. The very first one signs at once, a later one when all services can know it."""
    known = [key for key in await uow.keys.lock_all() if key.retired_at is None]
    signs_from = now + PUBLISHED_BEFORE_USE if known else now
    for key in known:
        await uow.keys.retire(key.id, signs_from)
    await uow.keys.forget(now - token_lifetime)
    fresh = make_key(signs_from)
    await uow.keys.add(fresh)
    return fresh


async def first_signing_key(
    uow: PortalUnitOfWork, *, make_key: MakeKey, now: datetime
) -> SigningKey | None:
    """Return a new key where none exists or the newest cannot be read, else None."""
    if any(key.has_future for key in await uow.keys.lock_all()):
        return None
    fresh = make_key(now)
    await uow.keys.add(fresh)
    return fresh
