"""While an event waits for a person's decision, the process goes on serving and
reports the event.
"""

import asyncpg

from tests.fixtures.polling import eventually
from tests.fixtures.services import ServiceClient

GIVE_UP = """
INSERT INTO outbox (source, id, subject, type, body, attempts, due_at, error)
VALUES ('notes', gen_random_uuid(), 'one', 'note.made.v1', '{}', 1, 'infinity', 'older')
"""


async def test_readiness_names_given_up_events_and_the_command_and_stays_ready(
    notes: ServiceClient, notes_database: str
) -> None:
    assert "attention" not in (await notes.get("/ready")).json()
    database = await asyncpg.connect(notes_database.replace("+asyncpg", ""))
    try:
        await database.execute(GIVE_UP)
    finally:
        await database.close()

    async def told() -> bool:
        answer = await notes.get("/ready")
        assert answer.status_code == 200
        assert answer.json()["outbox"]["given_up"] == 1
        assert answer.json()["attention"] == "events given up: 1, see outbox list notes"
        return True

    await eventually(told)
