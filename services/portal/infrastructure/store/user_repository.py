"""Users are stored in Postgres."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.portal.application.ports import EVERYBODY, Wanted
from services.portal.domain.errors import EmailTaken, UserNotFound
from services.portal.domain.user import ADMIN, NO_PASSWORD, User, words_of
from services.portal.infrastructure.store.paging import newest_first
from services.portal.infrastructure.store.vault import Vault
from services.portal.infrastructure.tables import erased_customers, users


class PostgresUsers:
    def __init__(self, connection: AsyncConnection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    async def add(self, user: User) -> None:
        added = await self._connection.execute(
            insert(users)
            .values(id=user.id, tenant_id=user.tenant_id, **self._columns(user))
            .on_conflict_do_nothing(index_elements=["email_index"])
            .returning(users.c.id)
        )
        if added.one_or_none() is None:
            raise EmailTaken(field="email")

    async def get(self, tenant_id: str, user_id: UUID) -> User:
        return await self._one(tenant_id, user_id, for_update=False)

    async def lock(self, tenant_id: str, user_id: UUID) -> User:
        return await self._one(tenant_id, user_id, for_update=True)

    async def find_by_email(self, email: str) -> User | None:
        index = self._vault.email_index(email)
        rows = await self._connection.execute(select(users).where(users.c.email_index == index))
        row = rows.mappings().one_or_none()
        return None if row is None else user_of(row, self._vault)

    async def save(self, user: User) -> None:
        await self._connection.execute(
            update(users).where(users.c.id == user.id).values(self._columns(user))
        )

    async def lock_admins(self, tenant_id: str) -> int:
        rows = await self._connection.execute(
            select(users.c.id)
            .where(users.c.tenant_id == tenant_id, users.c.roles.contains([ADMIN]))
            .order_by(users.c.id)
            .with_for_update()
        )
        return len(rows.all())

    async def page(
        self, tenant_id: str, after: UUID | None, limit: int, *, wanted: Wanted = EVERYBODY
    ) -> list[User]:
        query = select(users).where(users.c.tenant_id == tenant_id)
        query = newest_first(query, users.c.id, after, limit)
        if wanted.words:
            query = query.where(users.c.name_words.contains(self._vault.name_words(wanted.words)))
        if wanted.email:
            query = query.where(users.c.email_index == self._vault.email_index(wanted.email))
        if wanted.role:
            query = query.where(users.c.roles.contains([wanted.role]))
        if wanted.is_disabled is not None:
            disabled = users.c.password_hash == NO_PASSWORD
            query = query.where(disabled if wanted.is_disabled else ~disabled)
        rows = await self._connection.execute(query)
        return [user_of(row, self._vault) for row in rows.mappings()]

    async def of_customers(
        self, tenant_id: str, customer_ids: Collection[UUID]
    ) -> dict[UUID, UUID]:
        rows = await self._connection.execute(
            select(users.c.customer_id, users.c.id).where(
                users.c.tenant_id == tenant_id, users.c.customer_id.in_(list(customer_ids))
            )
        )
        return {row.customer_id: row.id for row in rows}

    async def names(self, tenant_id: str, user_ids: Collection[UUID]) -> dict[UUID, str]:
        rows = await self._connection.execute(
            select(users.c.id, users.c.name).where(
                users.c.tenant_id == tenant_id, users.c.id.in_(list(user_ids))
            )
        )
        return {row.id: self._vault.read_user(row.id, "name", row.name) for row in rows}

    async def index_names(self, limit: int) -> int:
        """Make the keyed digests of names that have none yet. Returns how many there were."""
        rows = await self._connection.execute(
            select(users).where(users.c.name_words.is_(None)).limit(limit).with_for_update()
        )
        found = [user_of(row, self._vault) for row in rows.mappings()]
        for user in found:
            words = self._vault.name_words(words_of(user.name))
            await self._connection.execute(
                update(users).where(users.c.id == user.id).values(name_words=words)
            )
        return len(found)

    async def customer_is_erased(self, customer_id: UUID) -> bool:
        found = await self._connection.execute(
            select(erased_customers.c.customer_id).where(
                erased_customers.c.customer_id == customer_id
            )
        )
        return found.first() is not None

    async def erase_customer(self, tenant_id: str, customer_id: UUID) -> list[UUID]:
        await self._connection.execute(
            insert(erased_customers).values(customer_id=customer_id).on_conflict_do_nothing()
        )
        erased = await self._connection.scalars(
            delete(users)
            .where(users.c.tenant_id == tenant_id, users.c.customer_id == customer_id)
            .returning(users.c.id)
        )
        return list(erased)

    async def _one(self, tenant_id: str, user_id: UUID, *, for_update: bool) -> User:
        query = select(users).where(users.c.id == user_id, users.c.tenant_id == tenant_id)
        rows = await self._connection.execute(query.with_for_update() if for_update else query)
        row = rows.mappings().one_or_none()
        if row is None:
            raise UserNotFound
        return user_of(row, self._vault)

    def _columns(self, user: User) -> dict[str, Any]:
        return {
            **self._vault.seal_user(user.id, user.name, user.email),
            "roles": sorted(user.roles),
            "customer_id": user.customer_id,
            "locale": user.locale,
            "password_hash": user.password_hash,
            "kept_hash": user.kept_hash,
            "created_at": user.created_at,
        }


def user_of(row: RowMapping, vault: Vault) -> User:
    """Return the user of a row of `users`, or of a join that begins with it."""
    return User(
        id=row[users.c.id],
        tenant_id=row[users.c.tenant_id],
        name=vault.read_user(row[users.c.id], "name", row[users.c.name]),
        email=vault.read_user(row[users.c.id], "email", row[users.c.email]),
        roles=frozenset(row[users.c.roles]),
        customer_id=row[users.c.customer_id],
        locale=row[users.c.locale],
        password_hash=row[users.c.password_hash],
        created_at=row[users.c.created_at],
        kept_hash=row[users.c.kept_hash],
    )
