"""Names the rules as the report does, and breaks a rule."""

from typing import NamedTuple

from deploy.checker.invariants import check
from deploy.checker.report import Report
from tests.integration.deploy.spoilt import IDS, PARTICIPANTS, Spoilt

CREDIT = "credit adds up for every customer"
VEHICLE = "a vehicle is held or sold once"
NOTHING_HELD = "what failed or was cancelled holds nothing"
MONEY = "money is kept once or given back once"
SELLERS = "every seller is paid once"
PUBLISHED = "every event was published"
AT_REST = "no purchase rests half-way"
RECORDS = "every record belongs to a purchase of its tenant"


class Break(NamedTuple):
    """A `Break` breaks one rule. `sentence` is what the report says of it."""

    name: str
    service: str
    statements: str
    sentence: str
    rules: set[str]


def broken(report: Report) -> dict[str, list[str]]:
    return {each.rule: list(each.broken) for each in report.invariants if each.broken}


async def assert_turns_red(spoilt: Spoilt, case: Break) -> None:
    """Check that exactly the rules of this case are broken, with the case's sentence."""
    await spoilt.spoil(case.service, case.statements)

    report = await check(spoilt.databases, PARTICIPANTS)

    assert not report.hold
    assert broken(report).keys() == case.rules
    assert case.sentence.format(**IDS) in [
        sentence for sentences in broken(report).values() for sentence in sentences
    ]
