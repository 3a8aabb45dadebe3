"""Sessions, and attempts to begin one, in Postgres. The database's clock decides what is over."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import RowMapping, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.portal.domain.session import Session
from services.portal.domain.user import User
from services.portal.infrastructure.tables import sessions, sign_in_attempts, users
from services.portal.infrastructure.user_repository import user_of
from services.portal.infrastructure.vault import Vault, token_hash

UNUSED = timedelta(hours=2)
"""A session nobody used for so long is over."""
NOTED = timedelta(minutes=1)
"""Use is written down no more often than this."""

LASTING = (sessions.c.expires_at > func.now()) & (sessions.c.last_seen_at > func.now() - UNUSED)
LOCK = text("SELECT pg_advisory_xact_lock(hashtext('sign-in'), hashtext(:key))")


class PostgresSessions:
    def __init__(self, connection: AsyncConnection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    async def add(self, session: Session, token: str) -> None:
        await self._connection.execute(
            insert(sessions).values(
                id=session.id,
                token_hash=token_hash(token),
                user_id=session.user_id,
                created_at=session.created_at,
                last_seen_at=session.last_seen_at,
                expires_at=session.expires_at,
                device=session.device,
            )
        )

    async def user_of(self, token: str) -> tuple[Session, User] | None:
        rows = await self._connection.execute(
            select(
                users,
                sessions,
                (sessions.c.last_seen_at < func.now() - NOTED).label("is_to_note"),
            )
            .join(sessions, sessions.c.user_id == users.c.id)
            .where(sessions.c.token_hash == token_hash(token), LASTING)
        )
        row = rows.mappings().one_or_none()
        if row is None:
            return None
        if row["is_to_note"]:
            await self._connection.execute(
                update(sessions)
                .where(sessions.c.id == row[sessions.c.id])
                .values(last_seen_at=func.now())
            )
        return _session(row), user_of(row, self._vault)

    async def holder(self, session_id: UUID) -> User | None:
        rows = await self._connection.execute(
            select(users)
            .join(sessions, sessions.c.user_id == users.c.id)
            .where(sessions.c.id == session_id, LASTING)
        )
        row = rows.mappings().one_or_none()
        return None if row is None else user_of(row, self._vault)

    async def of_user(self, user_id: UUID) -> list[Session]:
        rows = await self._connection.execute(
            select(sessions)
            .where(sessions.c.user_id == user_id, LASTING)
            .order_by(sessions.c.created_at.desc(), sessions.c.id)
        )
        return [_session(row) for row in rows.mappings()]

    async def end(self, user_id: UUID, session_id: UUID) -> bool:
        ended = await self._connection.execute(
            delete(sessions)
            .where(sessions.c.id == session_id, sessions.c.user_id == user_id)
            .returning(sessions.c.id)
        )
        return ended.first() is not None

    async def end_all(self, user_id: UUID, *, but: UUID | None = None) -> None:
        query = delete(sessions).where(sessions.c.user_id == user_id)
        await self._connection.execute(query if but is None else query.where(sessions.c.id != but))

    async def forget_old(self) -> None:
        """Those that are over, and attempts that no longer count."""
        await self._connection.execute(delete(sessions).where(~LASTING))
        await self._connection.execute(
            delete(sign_in_attempts).where(sign_in_attempts.c.at < func.now() - timedelta(hours=1))
        )


class PostgresAttempts:
    def __init__(self, connection: AsyncConnection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    async def add(self, email: str, address: str, within: timedelta) -> tuple[int, int]:
        keys = {
            "account": self._vault.attempt_index("account", email),
            "address": self._vault.attempt_index("address", address),
        }
        # Always in one order: two sign-ins never wait for each other in a circle.
        for key in sorted(keys.values()):
            await self._connection.execute(LOCK, {"key": key.hex()})
        await self._connection.execute(insert(sign_in_attempts).values(keys))
        counts = [
            select(func.count())
            .where(sign_in_attempts.c[name] == key, sign_in_attempts.c.at > func.now() - within)
            .scalar_subquery()
            for name, key in keys.items()
        ]
        by_account, by_address = (await self._connection.execute(select(*counts))).one()
        return by_account, by_address

    async def forget(self, email: str) -> None:
        account = self._vault.attempt_index("account", email)
        await self._connection.execute(
            delete(sign_in_attempts).where(sign_in_attempts.c.account == account)
        )


def _session(row: RowMapping) -> Session:
    return Session(
        id=row[sessions.c.id],
        user_id=row[sessions.c.user_id],
        created_at=row[sessions.c.created_at],
        last_seen_at=row[sessions.c.last_seen_at],
        expires_at=row[sessions.c.expires_at],
        device=row[sessions.c.device],
    )
