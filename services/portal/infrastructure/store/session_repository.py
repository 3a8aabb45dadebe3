"""Sessions and sign-in attempts expire in Postgres by the database's clock."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.portal.domain.session import Session
from services.portal.domain.sign_in_limits import Attempts, Over
from services.portal.domain.user import User
from services.portal.infrastructure.store.user_repository import user_of
from services.portal.infrastructure.store.vault import Vault, token_hash
from services.portal.infrastructure.tables import sessions, sign_in_attempts, users

UNUSED = timedelta(hours=2)
"""A session that was unused for this long has ended."""
NOTED = timedelta(minutes=1)
"""Use of a session is recorded at most once in this time."""

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

    async def find(self, token: str) -> tuple[Session, User] | None:
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

    async def find_user(self, session_id: UUID) -> User | None:
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
        """Delete ended sessions, and attempts that no longer count."""
        await self._connection.execute(delete(sessions).where(~LASTING))
        await self._connection.execute(
            delete(sign_in_attempts).where(sign_in_attempts.c.at < func.now() - timedelta(hours=1))
        )


class PostgresAttempts:
    def __init__(self, connection: AsyncConnection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    async def over(self, email: str, address: str, limits: Attempts, window: timedelta) -> Over:
        keys = self._keys(email, address)
        # The keys are locked in one order, so that two sign-ins never deadlock.
        for key in sorted(keys.values()):
            await self._connection.execute(LOCK, {"key": key.hex()})
        account, of_address = (sign_in_attempts.c[name] == key for name, key in keys.items())
        waits = [
            self._wait(limits.here, window, account, of_address),
            self._wait(limits.address, window, of_address),
            self._wait(limits.account, window, account),
        ]
        row = (await self._connection.execute(select(*waits))).one()
        return Over(here=row[0], address=row[1], account=row[2])

    async def add(self, email: str, address: str) -> None:
        await self._connection.execute(insert(sign_in_attempts).values(self._keys(email, address)))

    async def forget(self, email: str, address: str) -> None:
        keys = self._keys(email, address)
        await self._connection.execute(
            delete(sign_in_attempts).where(
                *(sign_in_attempts.c[name] == key for name, key in keys.items())
            )
        )

    async def forget_account(self, email: str) -> None:
        account = self._vault.attempt_index("account", email)
        await self._connection.execute(
            delete(sign_in_attempts).where(sign_in_attempts.c.account == account)
        )

    def _keys(self, email: str, address: str) -> dict[str, bytes]:
        return {
            "account": self._vault.attempt_index("account", email),
            "address": self._vault.attempt_index("address", address),
        }

    def _wait(
        self, limit: int, window: timedelta, *which: ColumnElement[bool]
    ) -> ColumnElement[timedelta]:
        """Return the time until the limit-th newest of these is older than `window`."""
        at = sign_in_attempts.c.at
        newest = (
            select(at + window - func.now())
            .where(*which, at > func.now() - window)
            .order_by(at.desc())
            .offset(limit - 1)
            .limit(1)
        )
        return func.coalesce(newest.scalar_subquery(), timedelta())


def _session(row: RowMapping) -> Session:
    return Session(
        id=row[sessions.c.id],
        user_id=row[sessions.c.user_id],
        created_at=row[sessions.c.created_at],
        last_seen_at=row[sessions.c.last_seen_at],
        expires_at=row[sessions.c.expires_at],
        device=row[sessions.c.device],
    )
