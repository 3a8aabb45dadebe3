"""When the answer to a commit is lost, the request is refused. A retry with its key finds the
result.
"""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from asyncpg.transaction import Transaction

from libs.kernel.ids import uuid7
from tests.faults.load import assert_refused_properly
from tests.faults.world import World
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import Way


async def test_a_refused_booking_that_was_committed_is_answered_by_its_key_and_not_repeated(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = Transaction.commit

    async def done() -> bool:
        return bool(await world.tills_database.fetchval("SELECT count(*) FROM takings"))

    async def commit(transaction: Any) -> None:
        monkeypatch.setattr(Transaction, "commit", genuine)
        world.postgres.silence(Way.DOWN)
        committing = asyncio.create_task(genuine(transaction))
        await eventually(done)
        world.postgres.reset()
        await world.postgres.heal()
        await committing

    headers = {"Idempotency-Key": uuid4().hex}
    body = {"tills": [str(uuid7())]}
    monkeypatch.setattr(Transaction, "commit", commit)
    assert_refused_properly(await world.tills.post("/takings", json=body, headers=headers))

    answer = await world.tills.post("/takings", json=body, headers=headers)
    assert answer.status_code == 201
    assert answer.headers["Idempotency-Replayed"] == "true"
    rows = await world.tills_database.fetch("SELECT id FROM takings")
    assert [UUID(bytes=row["id"].bytes) for row in rows] == [
        UUID(each) for each in answer.json()["ids"]
    ]
