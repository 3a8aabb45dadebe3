"""A chain of audits shows every change, gap, swap and cut."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from libs.kernel.ids import uuid7
from services.portal.domain.audit import Audit, ChainEnd, Entry, Result, verify_chain

NOTHING = ChainEnd()
START = datetime(2026, 11, 22, tzinfo=UTC)


def chain(length: int) -> list[Audit]:
    end, made = ChainEnd(), []
    for n in range(length):
        entry = Entry("t", "ana", "did", str(n), Result.DONE, {"n": n}, START + timedelta(hours=n))
        made.append(Audit.after(end, entry, uuid7()))
        end = made[-1].end
    return made


async def problem(audits: Sequence[Audit], end: ChainEnd, start: ChainEnd = NOTHING) -> str | None:
    async def each() -> AsyncIterator[Audit]:
        for audit in audits:
            yield audit

    return (await verify_chain(start, each(), end)).problem


async def test_a_chain_as_it_was_written_has_no_problem() -> None:
    audits = chain(5)
    assert await problem(audits, audits[-1].end) is None
    assert await problem([], ChainEnd()) is None
    assert await problem(audits[2:], audits[-1].end, start=audits[1].end) is None


def with_entry(audit: Audit, **changed: object) -> Audit:
    return replace(audit, entry=replace(audit.entry, **changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (lambda a: [*a[:2], with_entry(a[2], actor="eve"), *a[3:]], "entry 3 was changed"),
        (lambda a: [*a[:2], with_entry(a[2], details={"n": 9}), *a[3:]], "entry 3 was changed"),
        (lambda a: [*a[:2], with_entry(a[2], at=START), *a[3:]], "entry 3 was changed"),
        (lambda a: [*a[:2], replace(a[2], id=uuid7()), *a[3:]], "entry 3 was changed"),
        (lambda a: [*a[:2], *a[3:]], "entry 3 is missing"),
        (lambda a: a[1:], "entry 1 is missing"),
        (lambda a: a[:-1], "the chain ends at 4, not at 5"),
        (lambda a: [a[1], a[0], *a[2:]], "entry 1 is missing"),
        (lambda a: [*a[:2], rewritten(a), *a[3:]], "entry 4 does not follow the one before it"),
    ],
)
async def test_whatever_is_tampered_with_is_named(
    tamper: Callable[[list[Audit]], list[Audit]], told: str
) -> None:
    audits = chain(5)
    assert await problem(tamper(audits), audits[-1].end) == told


def rewritten(audits: list[Audit]) -> Audit:
    """Return an entry with a correct hash of its own: only the next entry shows the change."""
    entry = replace(audits[2].entry, actor="eve")
    return Audit.after(audits[1].end, entry, audits[2].id)
