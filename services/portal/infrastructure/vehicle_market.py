"""Vehicles of an import, put on the market in the name of who sent the file."""

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

from services.portal.domain.submission import RowError
from services.portal.domain.user import User
from services.portal.domain.vehicle_file import NUMBERS, VehicleRow
from services.portal.infrastructure.peers import PeerRefusal, Peers, PeerUnavailable, Reply

SERVICE = "vehicles"
SIDE_BY_SIDE = 4
TRY_AGAIN = frozenset({408, 425, 429})
IN_FLIGHT = "idempotency-key-in-flight"
SOLD = "sold-since"


class VehicleMarket:
    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._places = asyncio.Semaphore(SIDE_BY_SIDE)

    async def put(
        self, user: User, submission_id: UUID, rows: Sequence[VehicleRow]
    ) -> list[RowError]:
        """What is wrong with which row. Raises PeerUnavailable; all may be put again then."""
        found = await asyncio.gather(*(self._put(user, submission_id, row) for row in rows))
        return [error for errors in found for error in errors]

    async def _put(self, user: User, submission_id: UUID, row: VehicleRow) -> list[RowError]:
        body: dict[str, str | int] = {"seller_id": str(user.id), **row.values}
        body |= {name: int(row.values[name]) for name in NUMBERS}
        key = row.key(str(user.id))
        try:
            async with self._places:
                reply = await self._send(user, body, key)
                if not reply.replayed:
                    return []
                # The answer of an earlier import. The vehicle may be another story by now.
                path = f"/{SERVICE}/{reply.body['id']}"
                vehicle = (await self._peers.get(user, SERVICE, path)).body
                if vehicle["is_sold"]:
                    return [RowError(row.row, "", SOLD)]
                if vehicle["withdrawn"]:
                    await self._send(user, body, f"{key}:{submission_id}")
        except PeerRefusal as refusal:
            if refusal.status in TRY_AGAIN or refusal.code == IN_FLIGHT:
                raise PeerUnavailable(SERVICE) from refusal
            return [
                RowError(
                    row.row, "price" if field in NUMBERS[1:] else field, each.code, each.params
                )
                for field, each in refusal.fields.items()
            ]
        return []

    async def _send(self, user: User, body: Mapping[str, str | int], key: str) -> Reply:
        return await self._peers.send(user, SERVICE, "POST", "/vehicles", body, key=key)
