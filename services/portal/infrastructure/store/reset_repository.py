"""Of tokens for forgotten passwords only hashes are stored. Times are those of the database's
clock.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.portal.domain.user import User
from services.portal.infrastructure.store.user_repository import user_of
from services.portal.infrastructure.store.vault import Vault, token_hash
from services.portal.infrastructure.tables import password_resets, users

GOOD = password_resets.c.expires_at > func.now()


class PostgresResets:
    def __init__(self, connection: AsyncConnection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    async def count(self, user_id: UUID) -> int:
        query = select(func.count()).where(password_resets.c.user_id == user_id, GOOD)
        return (await self._connection.execute(query)).scalar_one()

    async def add(self, user_id: UUID, token: str, lifetime: timedelta) -> None:
        await self._connection.execute(
            insert(password_resets).values(
                token_hash=token_hash(token), user_id=user_id, expires_at=func.now() + lifetime
            )
        )

    async def find_user(self, token: str) -> User | None:
        rows = await self._connection.execute(
            select(users)
            .join(password_resets, password_resets.c.user_id == users.c.id)
            .where(password_resets.c.token_hash == token_hash(token), GOOD)
        )
        row = rows.mappings().one_or_none()
        return None if row is None else user_of(row, self._vault)

    async def use(self, token: str) -> bool:
        used = await self._connection.execute(
            delete(password_resets)
            .where(password_resets.c.token_hash == token_hash(token), GOOD)
            .returning(password_resets.c.user_id)
        )
        return used.first() is not None

    async def forget(self, user_id: UUID) -> None:
        await self._connection.execute(
            delete(password_resets).where(password_resets.c.user_id == user_id)
        )

    async def forget_old(self) -> None:
        await self._connection.execute(delete(password_resets).where(~GOOD))
