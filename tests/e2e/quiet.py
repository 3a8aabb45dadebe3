"""Checks at the end of every test here that all messages are handled and all invariants hold."""

from deploy.checker.invariants import check
from deploy.checker.report import Report
from deploy.installation import ADMINISTRATOR
from libs.messaging.saga.choreography import read
from libs.runtime.settings import CHOREOGRAPHY
from tests.e2e.system import System
from tests.fixtures.polling import eventually


async def invariants_hold(system: System) -> Report:
    """Wait for the last message, then for every invariant. Show what is broken, if anything is."""
    participants = read(CHOREOGRAPHY).participants

    async def all_hold() -> Report:
        report = await check(
            system.databases,
            participants,
            rabbitmq_url=system.installation.broker_url(ADMINISTRATOR),
            grace_seconds=0,
        )
        broken = [sentence for each in report.invariants for sentence in each.broken]
        assert not broken, "\n".join(broken[:20])
        return report

    return await eventually(all_hold, timeout=120)
