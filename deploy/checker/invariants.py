"""The checker compares a running system, all databases and queues, with the invariants.

`check` reads; it never writes. Purchases with an event in the last few seconds are left out,
because they may not be at rest.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from uuid import UUID

from deploy.checker.books import customers_that_do_not_add_up, vehicles_that_do_not_add_up
from deploy.checker.deliveries import KNOWN_FOR, Deliveries, read_deliveries
from deploy.checker.purchase import Purchase
from deploy.checker.queues import Queues, read_queues
from deploy.checker.records import STATEMENTS
from deploy.checker.records.customers import CREDIT
from deploy.checker.records.payments import charge_unanswered, refund_failed
from deploy.checker.records.payouts import payout_failed, payout_unanswered
from deploy.checker.records.vehicles import VEHICLE
from deploy.checker.report import Found, Invariant, Report
from deploy.checker.rules import RULES
from deploy.checker.snapshot import Connections, at_one_moment, connected, purchases
from libs.messaging.saga.choreography import DescribedParticipant

PUBLISHED = "every event was published"
ARRIVED = f"every event of the last {KNOWN_FOR.days} days reached every subscriber once"
NOTHING_WAITS = "no message waits in a queue while nothing moves"

TOUCHED_SINCE = """
    SELECT id FROM orders WHERE state IS NOT NULL
       AND (created_at > $1 OR (history -> -1 ->> 3)::timestamptz > $1)"""
HOW_MANY = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'orders'::regclass"


async def check(
    databases: Mapping[str, str],
    participants: Sequence[DescribedParticipant],
    *,
    rabbitmq_url: str | None = None,
    grace_seconds: float = 5.0,
    tell: Callable[[str], None] = lambda _: None,
) -> Report:
    """Check all invariants. `databases` are asyncpg URLs by service name, with roles that may read
    every table. Without a `rabbitmq_url` the queues are not checked.

    With `grace_seconds` 0 nothing is left out: for systems at rest. `tell` is called with the
    progress.
    """
    async with AsyncExitStack() as stack:
        # Postgres cannot know how few sums so many events make, and would sort them all.
        now = await stack.enter_async_context(connected(databases, enable_sort="off"))
        still = await stack.enter_async_context(connected(databases))
        since = await _some_time_ago(now, grace_seconds)
        await stack.enter_async_context(at_one_moment(still))
        tell("comparing archives with inboxes")
        deliveries = await read_deliveries(now, participants, since, grace_seconds)
        # These are read after the moment of `still`, so that events between its databases are found
        # too.
        young = await _moved(now, since["orders"], deliveries) if grace_seconds else frozenset()
        findings = _Findings(young)
        await findings.read_books(still)
        await findings.read_purchases(still, grace_seconds, tell)
        tell("looking at the queues")
        queues = await read_queues(rabbitmq_url, participants) if rabbitmq_url else None
    return _report(findings, deliveries, queues)


class _Findings:
    """These are the violations by rule, and the notes, collected purchase by purchase."""

    def __init__(self, young: frozenset[UUID]) -> None:
        self.broken = {rule: Found() for rule in RULES}
        self.failed_refunds, self.failed_payouts = Found(), Found()
        self.unanswered = Found()
        self.purchases = self.passed_over = 0
        self.services: set[str] = set()
        self.young = young

    async def read_books(self, still: Connections) -> None:
        async for sentence in customers_that_do_not_add_up(still["customers"]):
            self.broken[CREDIT].add(sentence)
        async for sentence in vehicles_that_do_not_add_up(still["vehicles"]):
            self.broken[VEHICLE].add(sentence)

    async def read_purchases(
        self, still: Connections, grace_seconds: float, tell: Callable[[str], None]
    ) -> None:
        about = await still["orders"].fetchval(HOW_MANY)
        async for some in purchases(still, grace_seconds):
            for purchase in some:
                self._add(purchase)
            tell(f"{self.purchases:,} of about {max(about, self.purchases):,} purchases")

    def _add(self, it: Purchase) -> None:
        self.purchases += it.order is not None
        if refund_failed(it):
            self.failed_refunds.add(f"refund of order {it.order_id} failed and is open")
        if payout_failed(it):
            self.failed_payouts.add(f"payout of order {it.order_id} failed and needs a person")
        for unanswered, what in (
            (charge_unanswered(it), "charge"),
            (payout_unanswered(it), "payout"),
        ):
            if unanswered:
                self.unanswered.add(
                    f"{what} of order {it.order_id} is unanswered and needs a person"
                )
        if it.order_id in self.young:
            self.passed_over += it.order is not None
            return
        self.services.update(name for name, record in it.records.items() if record is not None)
        for rule, offences in RULES.items():
            for sentence in offences(it):
                self.broken[rule].add(sentence)


async def _some_time_ago(now: Connections, grace_seconds: float) -> Mapping[str, datetime]:
    """Return the time that long ago, by the clock of each database."""
    statement = "SELECT now() - $1 * interval '1 second'"
    return {name: await each.fetchval(statement, grace_seconds) for name, each in now.items()}


async def _moved(now: Connections, since: datetime, deliveries: Deliveries) -> frozenset[UUID]:
    """Return the purchases with an event since then. Orders consumes nearly all events, and knows
    them where no archive does.
    """
    consumed = await now["orders"].fetch(TOUCHED_SINCE, since)
    return frozenset(
        {UUID(subject) for subject in deliveries.moved} | {row["id"] for row in consumed}
    )


def _report(findings: _Findings, deliveries: Deliveries, queues: Queues | None) -> Report:
    broken = {**findings.broken, PUBLISHED: deliveries.unpublished}
    arrived, unproved = _events_that_did_not_arrive(deliveries), _unproved(findings, deliveries)
    if arrived.count or not unproved:  # an archive that is not kept proves nothing
        broken[ARRIVED] = arrived
    notes = [
        *findings.failed_refunds.as_notes(),
        *findings.failed_payouts.as_notes(),
        *findings.unanswered.as_notes(),
        *unproved,
    ]
    if queues is not None:
        waiting = Found()
        for queue in queues.missing:
            waiting.add(f"{queue} is missing")
        sentences = [f"{queue} holds {held} messages" for queue, held in queues.waiting.items()]
        if findings.young:
            notes += [f"{sentence}, and the system moves" for sentence in sentences]
        else:
            waiting.add_some(len(sentences), sentences)
        broken[NOTHING_WAITS] = waiting
        notes += _dead_letters(queues)
        notes += [
            f"views of {service} miss events that their queues dropped, the last from {last}:"
            f" ./taskw topology replay {service}"
            for service, last in queues.dropped.items()
        ]
    invariants = [Invariant(rule, it.sentences, it.count) for rule, it in broken.items()]
    return Report(findings.purchases, findings.passed_over, invariants, notes)


def _events_that_did_not_arrive(deliveries: Deliveries) -> Found:
    arrived = Found()
    for queue, misses in deliveries.misses.items():
        never = ", ".join(str(event_id) for event_id in misses.never_ids)
        again = ", ".join(str(event_id) for event_id in misses.again_ids)
        if misses.never:
            arrived.add_some(
                misses.never, [f"{queue} never handled {misses.never} events: {never}"]
            )
        if misses.again:
            arrived.add_some(
                misses.again, [f"{queue} handled {misses.again} events more than once: {again}"]
            )
    return arrived


def _unproved(findings: _Findings, deliveries: Deliveries) -> list[str]:
    return [
        f"{service} archives no events: whether its own reached everyone could not be checked"
        for service in STATEMENTS
        if service in findings.services - deliveries.archived
    ]


def _dead_letters(queues: Queues) -> list[str]:
    letters = Found()
    for letter in queues.dead_letters:
        letters.add(f"dead letter {letter.id} of {letter.queue}: {letter.error}")
    return letters.as_notes()
