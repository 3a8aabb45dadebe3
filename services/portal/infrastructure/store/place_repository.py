"""Places of sign-ins are stored in Postgres, whose clock decides how long each counts."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.portal.application.ports import Place
from services.portal.infrastructure.store.vault import Vault
from services.portal.infrastructure.tables import sign_in_places

KNOWN = timedelta(days=180)
"""A place is known for this time after the last sign-in from it."""


class PostgresPlaces:
    def __init__(self, connection: AsyncConnection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    async def known(self, user_id: UUID | None, place: Place) -> Place:
        of_browser, of_address = self._browser(place.browser), self._address(place.address)
        found = await self._connection.scalars(
            select(sign_in_places.c.place).where(
                sign_in_places.c.user_id == (user_id or UUID(int=0)),
                sign_in_places.c.place.in_([of_browser, of_address]),
                sign_in_places.c.seen_at > func.now() - KNOWN,
            )
        )
        known = set(found)
        return Place(
            address=place.address if of_address in known else "",
            browser=place.browser if of_browser in known else "",
        )

    async def remember(self, user_id: UUID, place: Place) -> None:
        rows = [
            {"user_id": user_id, "place": each, "seen_at": func.now()}
            for each in sorted([self._browser(place.browser), self._address(place.address)])
        ]
        query = insert(sign_in_places).values(rows)
        await self._connection.execute(
            query.on_conflict_do_update(
                index_elements=[sign_in_places.c.user_id, sign_in_places.c.place],
                set_={"seen_at": query.excluded.seen_at},
            )
        )

    async def forget(self, user_id: UUID, *, but: str = "") -> None:
        await self._connection.execute(
            delete(sign_in_places).where(
                sign_in_places.c.user_id == user_id,
                sign_in_places.c.place != self._browser(but),
            )
        )

    async def forget_old(self) -> None:
        await self._connection.execute(
            delete(sign_in_places).where(sign_in_places.c.seen_at < func.now() - KNOWN)
        )

    def _browser(self, token: str) -> bytes:
        return self._vault.place_index("browser", token)

    def _address(self, address: str) -> bytes:
        return self._vault.place_index("address", address)
