"""An import's vehicles are put on the market in the name of the user who sent the file."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from services.portal.domain.submission import RowError
from services.portal.domain.user import User
from services.portal.domain.vehicle_file import NUMBERS, VehicleRow
from services.portal.infrastructure.peers.client import PeerRefusal, Peers, PeerUnavailable, Reply

SERVICE = "vehicles"
SIDE_BY_SIDE = 4
TRY_AGAIN = frozenset({408, 425, 429})
SOLD = "sold-since"
CHECKED_AT_ONCE = 30
"""One request has this number of rows, because so many of the longest ones fit into a body."""
OURS = {"price_cents": "price"}
"""People call these fields by another name than the service does."""


class VehicleMarket:
    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._places = asyncio.Semaphore(SIDE_BY_SIDE)

    async def check(self, user: User, rows: Sequence[VehicleRow]) -> list[RowError]:
        """Return what the service would find wrong with each row's fields. Puts nothing on the
        market. Raises PeerUnavailable, PeerRefusal.
        """
        parts = [rows[n : n + CHECKED_AT_ONCE] for n in range(0, len(rows), CHECKED_AT_ONCE)]
        found = await asyncio.gather(*(self._check(user, part) for part in parts))
        return [error for errors in found for error in errors]

    async def put(
        self, user: User, submission_id: UUID, rows: Sequence[VehicleRow]
    ) -> list[RowError]:
        """Return what is wrong with each row. Raises PeerUnavailable; all may be put again."""
        found = await asyncio.gather(*(self._put(user, submission_id, row) for row in rows))
        return [error for errors in found for error in errors]

    async def _put(self, user: User, submission_id: UUID, row: VehicleRow) -> list[RowError]:
        body = _body(user, row)
        key = row.key(str(user.id))
        try:
            async with self._places:
                reply = await self._send(user, body, key)
                if not reply.replayed:
                    return []
                # This is the answer to an earlier import, and the vehicle may have changed since.
                path = f"/{SERVICE}/{reply.body['id']}"
                vehicle = (await self._peers.get(user, SERVICE, path)).body
                if vehicle["is_sold"]:
                    return [RowError(row.row, "", SOLD)]
                if vehicle["withdrawn"]:
                    await self._send(user, body, f"{key}:{submission_id}")
        except PeerRefusal as refusal:
            if refusal.status in TRY_AGAIN:
                raise PeerUnavailable(SERVICE) from refusal
            return [
                RowError(row.row, OURS.get(field, field), said.code, said.params)
                for field, said in refusal.fields.items()
            ]
        return []

    async def _check(self, user: User, rows: Sequence[VehicleRow]) -> list[RowError]:
        asked = {"vehicles": [_body(user, row) for row in rows]}
        async with self._places:
            reply = await self._peers.send(user, SERVICE, "POST", "/vehicles/checks", asked)
        return list(_faults(rows, reply.body["vehicles"]))

    async def _send(self, user: User, body: Mapping[str, str | int], key: str) -> Reply:
        return await self._peers.send(user, SERVICE, "POST", "/vehicles", body, key=key)


def _body(user: User, row: VehicleRow) -> dict[str, str | int]:
    """Return the row in the form that the service accepts."""
    numbers = {name: int(row.values[name]) for name in NUMBERS}
    return {"seller_id": str(user.id), **row.values, **numbers}


def _faults(rows: Sequence[VehicleRow], checked: Sequence[Mapping[str, Any]]) -> Iterator[RowError]:
    for row, found in zip(rows, checked, strict=True):
        for fault in found["errors"]:
            field = fault["field"]
            yield RowError(row.row, OURS.get(field, field), fault["code"], fault["params"])
