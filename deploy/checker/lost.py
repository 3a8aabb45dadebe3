"""The database of orders may have lost purchases that other services know.

A failover with asynchronous replication loses the last commits. What they had published before may
have reached other services, which then hold credit, vehicles and payments of purchases that orders
knows nothing of. Orders recovers each of them and ends it: the compensation gives back what the
others hold.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from deploy.checker.purchase import Purchase
from deploy.checker.snapshot import Connections, at_one_moment, connected, purchases
from deploy.checker.verify import databases
from deploy.commands import command
from deploy.installation import CHOREOGRAPHY, Installation
from libs.messaging.dead_letters.dead_letters import DeadLetters
from libs.messaging.saga.choreography import read

EVENTS = """
    SELECT body FROM outbox WHERE subject = $1
    UNION ALL SELECT body FROM outbox_archive WHERE subject = $1"""
NEEDED = ("customer_id", "vehicle_id", "total_cents")


async def recover_lost(installation: Installation, tell: Callable[[str], None]) -> None:
    """Recover the lost purchases, and report what was done and which cannot be recovered. Dead
    letters of orders about a recovered purchase are redriven. No service may run. Raises
    CommandRefused or DeadLetterError.
    """
    lost: list[Mapping[str, Any]] = []
    async with connected(databases(installation)) as connections:
        for order_id, tenant in await _held_by_others(connections):
            known = await _known_of(order_id, connections)
            if missing := [name for name in NEEDED if name not in known]:
                tell(f"purchase {order_id}: no event in the archives has {', '.join(missing)}")
            else:
                lost.append({"order_id": str(order_id), "tenant_id": tenant, **known})
    given = "\n".join(map(json.dumps, lost))
    tell(await command(installation, "orders", "recover-lost", given=given))
    subjects = {each["order_id"] for each in lost}
    letters = DeadLetters(
        read(CHOREOGRAPHY).participants, installation.broker_url(installation.administrator)
    )
    redriven = await letters.redrive("orders", only=lambda it: it.subject in subjects)
    tell(f"dead letters about them: {len(redriven.sent)} redriven")


async def _held_by_others(connections: Connections) -> list[tuple[UUID, str]]:
    """Return the purchases, with their tenants, that orders does not know."""
    found: list[tuple[UUID, str]] = []
    async with at_one_moment(connections):
        async for some in purchases(connections, 0):
            found += [(it.order_id, tenant) for it in some if (tenant := _tenant_of(it))]
    return found


def _tenant_of(it: Purchase) -> str | None:
    """Return the tenant; None where orders knows the purchase, or no service does."""
    if it.order is not None:
        return None
    known = (each for each in it.records.values() if each is not None and each["state"] is not None)
    return next((each["tenant_id"] for each in known), None)


async def _known_of(order_id: UUID, connections: Connections) -> Mapping[str, Any]:
    """Return the facts about a purchase, from its events of all publishers."""
    known: dict[str, Any] = {}
    for connection in connections.values():
        for row in await connection.fetch(EVENTS, str(order_id)):
            data = json.loads(row["body"])["data"]
            known |= {name: data[name] for name in NEEDED if data.get(name) is not None}
    return known
