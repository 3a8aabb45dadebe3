"""The keys that sign tokens are stored in Postgres. Their private halves are sealed."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.portal.domain.signing_key import SigningKey
from services.portal.infrastructure.store.vault import Vault
from services.portal.infrastructure.tables import signing_keys


class PostgresKeys:
    def __init__(self, connection: AsyncConnection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    async def all(self) -> Sequence[SigningKey]:
        """Return the keys that are still stored, the newest last."""
        rows = await self._connection.execute(
            select(signing_keys).order_by(signing_keys.c.signs_from, signing_keys.c.id)
        )
        return [
            SigningKey(
                id=row.id,
                private_pem=self._vault.read_key(row.id, row.private_key),
                public_jwk=row.public_jwk,
                signs_from=row.signs_from,
                retired_at=row.retired_at,
            )
            for row in rows
        ]

    async def lock_all(self) -> Sequence[SigningKey]:
        await self._connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtext('signing keys'))")
        )
        return await self.all()

    async def add(self, key: SigningKey) -> None:
        pem = key.private_pem
        if pem is None:
            raise ValueError("a key is added with its private half")
        await self._connection.execute(
            insert(signing_keys).values(
                id=key.id,
                private_key=self._vault.seal_key(key.id, pem),
                public_jwk=key.public_jwk,
                signs_from=key.signs_from,
                retired_at=key.retired_at,
            )
        )

    async def retire(self, key_id: UUID, at: datetime) -> None:
        await self._connection.execute(
            update(signing_keys).where(signing_keys.c.id == key_id).values(retired_at=at)
        )

    async def forget(self, retired_before: datetime) -> None:
        await self._connection.execute(
            delete(signing_keys).where(signing_keys.c.retired_at < retired_before)
        )
