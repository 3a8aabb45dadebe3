"""Vehicles of an import, put on the market in the name of who sent the file."""

import asyncio
from collections.abc import Sequence

from services.portal.domain.submission import RowError
from services.portal.domain.user import User
from services.portal.domain.vehicle_file import NUMBERS, VehicleRow
from services.portal.infrastructure.peers import PeerRefusal, Peers, PeerUnavailable

SERVICE = "vehicles"
SIDE_BY_SIDE = 4
TRY_AGAIN = frozenset({408, 425, 429})
IN_FLIGHT = "idempotency-key-in-flight"


class VehicleMarket:
    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._places = asyncio.Semaphore(SIDE_BY_SIDE)

    async def put(self, user: User, rows: Sequence[VehicleRow]) -> list[RowError]:
        """What is wrong with which row. Raises PeerUnavailable; all may be put again then."""
        found = await asyncio.gather(*(self._put(user, row) for row in rows))
        return [error for errors in found for error in errors]

    async def _put(self, user: User, row: VehicleRow) -> list[RowError]:
        body: dict[str, str | int] = {"seller_id": str(user.id), **row.values}
        body |= {name: int(row.values[name]) for name in NUMBERS}
        key = row.key(str(user.id))
        try:
            async with self._places:
                await self._peers.send(user, SERVICE, "POST", "/vehicles", body, key=key)
        except PeerRefusal as refusal:
            if refusal.status in TRY_AGAIN or refusal.code == IN_FLIGHT:
                raise PeerUnavailable(SERVICE) from refusal
            return [RowError(row.row, field, reason) for field, reason in refusal.fields.items()]
        return []
