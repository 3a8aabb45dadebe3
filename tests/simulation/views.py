"""Makes the units of work of the services that have only views: kpis and the portal.

The services' own code decides what an event sets. Only the upserts of Postgres are written again.
"""

from collections.abc import Sequence
from datetime import UTC
from typing import Any
from uuid import UUID

from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from services.kpis.domain.fact import Fact as Figure
from services.kpis.infrastructure.read_model import FOLDS, KEY, Fold
from services.portal.domain.timeline import Fact
from services.portal.infrastructure.store.timeline_repository import _head
from tests.simulation.database import Table


class Figures:
    """`Figures` are the port of facts. Each fact is kept once, by its id."""

    def __init__(self) -> None:
        self.added: list[Figure] = []

    def add(self, fact: Figure) -> None:
        self.added.append(fact)


class Kpis(UnitOfWork):
    def __init__(self, connection: Any, outbox: Outbox) -> None:
        super().__init__(connection, outbox)
        self.facts = Figures()

    async def flush(self) -> None:
        connection: Any = self.connection
        for fact in self.facts.added:
            connection.table("facts").setdefault(fact.event_id, fact)
            fold = FOLDS.get(fact.type)
            row = None if fold is None else fold.row(fact, UTC)
            if fold is not None and row is not None:
                upsert(connection.table(fold.table.name), fold, row)


def upsert(rows: Table, fold: Fold, row: dict[str, Any]) -> None:
    """Do what Fold.upsert does in SQL: an older fact leaves the columns that the newest sets."""
    there = rows.get(row["subject"])
    if there is None:
        rows[row["subject"]] = {"sequence": 0, **row}
        return
    older = bool(fold.newest) and row["sequence"] < there["sequence"]
    left = (*KEY, *fold.newest, "sequence") if older else KEY
    changes = {name: value for name, value in row.items() if name not in left}
    rows[row["subject"]] = {**there, **changes}


class Timelines:
    """`Timelines` number entries without a gap. Only a newer event changes a state."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._noted: dict[UUID, list[Fact]] = {}

    def note(self, fact: Fact) -> None:
        self._noted.setdefault(fact.subject_id, []).append(fact)

    def flush(self) -> None:
        for subject_id, facts in self._noted.items():
            timelines = self._connection.table("timelines")
            timelines[subject_id] = (*timelines.get(subject_id, ()), *facts)
            heads = self._connection.table("heads")
            heads[subject_id] = _raised(heads.get(subject_id), _head(facts))


def _raised(old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    if old is None:
        return new
    newer = new["sequence"] > old["sequence"]
    return {
        **old,
        "position": old["position"] + new["position"],
        "customer_id": old["customer_id"] or new["customer_id"],
        "seller_id": old["seller_id"] or new["seller_id"],
        "state": new["state"] if newer else old["state"],
        "sequence": max(old["sequence"], new["sequence"]),
        "payout_heard": old["payout_heard"] or new["payout_heard"],
        "started_at": min(old["started_at"], new["started_at"]),
        "last_at": max(old["last_at"], new["last_at"]),
        "stage": max(old["stage"], new["stage"]),
        "turned_back": old["turned_back"] or new["turned_back"],
        **{name: old[name] or new[name] for name in SAID_ONCE},
    }


SAID_ONCE = ("pays_until", "vehicle_id", "vehicle", "total_cents")


class NoUsers:
    """`NoUsers` stands for the portal's users, whom the simulation does not have."""

    async def erase_customer(self, tenant_id: str, customer_id: UUID) -> Sequence[UUID]:
        return ()


class Portal(UnitOfWork):
    def __init__(self, connection: Any, outbox: Outbox) -> None:
        super().__init__(connection, outbox)
        self.timeline = Timelines(connection)
        self.users = NoUsers()

    async def flush(self) -> None:
        self.timeline.flush()
