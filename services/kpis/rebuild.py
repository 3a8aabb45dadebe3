"""`python -m services.kpis.rebuild` builds the read model again from the facts, while kpis runs."""

import asyncio

from libs.runtime.database import check_database
from libs.runtime.settings import read_settings
from libs.runtime.start_failure import one_line_errors
from services.kpis.application.rebuild_read_model import rebuild_read_model
from services.kpis.infrastructure.settings import KpisSettings
from services.kpis.main import connect

STATEMENT_SECONDS = 600.0
"""The limit is long because the last statement reads the whole read model."""


async def rebuild(settings: KpisSettings) -> str:
    """Return one line on what was done. Raises StartFailure when the database cannot be used."""
    await check_database(settings)
    transactions = connect(settings, statement_seconds=STATEMENT_SECONDS)
    try:
        subjects = await rebuild_read_model(transactions)
    finally:
        await transactions.engine.dispose()
    return f"folded the facts about {subjects} subjects anew"


if __name__ == "__main__":
    with one_line_errors():
        print(asyncio.run(rebuild(read_settings(KpisSettings))))  # noqa: T201
