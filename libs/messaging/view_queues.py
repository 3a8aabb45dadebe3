"""The queues of a service that only keeps views are bounded, so that it can stop without delaying
others.

Every other queue takes messages until the broker's memory or disk is used up, and then nobody can
publish. A view is no reason for that: the events it missed are in the archives of their publishers.
So a full queue of a view drops its oldest messages, and never refuses a new one.

The bound is a policy. The arguments of a queue cannot be changed, a policy can, also for a queue
that holds messages and has consumers; and a policy's `overflow` is preferred to the argument's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from libs.messaging.saga.choreography import AnyParticipant
from libs.messaging.saga.reactions import Step

VIEW_QUEUE_BYTES = 100_000_000
"""The messages of a view's queue may take this many bytes. An event is about 650 bytes, so these
are 150,000 events: two hours at 20 purchases a second. A purchase fills nine queues of timelines
and three of figures, so that all of them together hold 1.2 GB. While a queue drops messages, its
files take up to three times its bound until the broker compacts them: 4 GB on a disk of 20.
"""
PRIORITY = 10
"""This is above 0, which a policy has that names no priority."""

OVERFLOW_ARGUMENTS: dict[str, Any] = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 2**31 - 1,  # each read counts as a delivery
    # One message says that something was dropped. What was dropped is in the archives.
    "x-max-length": 1,
    "x-overflow": "drop-head",
}


@dataclass(frozen=True)
class Policy:
    """A policy of the broker bounds its `queues`."""

    name: str
    queues: frozenset[str]
    most_bytes: int = VIEW_QUEUE_BYTES

    def as_json(self) -> dict[str, Any]:
        """Return the policy as the management API takes it, and shows it."""
        names = "|".join(sorted(map(re.escape, self.queues)))
        return {
            "pattern": f"^({names})$",
            "definition": {"max-length-bytes": self.most_bytes, "overflow": "drop-head"},
            "priority": PRIORITY,
            "apply-to": "queues",
        }


def view_queues(participant: AnyParticipant) -> frozenset[str]:
    """Return the queues that are bounded. A service that publishes anything may decide by its
    views, so it has none.
    """
    if participant.publishes:
        return frozenset()
    return frozenset(
        reaction.queue
        for reaction in participant.reacts_to
        if reaction.step is Step.VIEW and not reaction.kept
    )


def overflow_queue(service: str) -> str:
    """Return the queue of the last message that a bounded queue of this service dropped. It is
    empty while none was, or once the views are complete again.
    """
    return f"{service}.overflow"


def policy_name(service: str) -> str:
    return f"{service}.views"


def policy_problems(
    wanted: Sequence[Policy], services: Sequence[str], found: Sequence[dict[str, Any]]
) -> list[str]:
    """Say what keeps the broker from bounding these queues and no others of these services, one
    line each. `found` are its policies as the management API shows them.
    """
    there = {row["name"]: row for row in found}
    problems = [
        f"policy {name}: no longer wanted" for name in unwanted_policies(wanted, services, found)
    ]
    for policy in wanted:
        row = there.get(policy.name, {})
        shown = {key: row.get(key) for key in policy.as_json()}
        if not row:
            problems.append(f"policy {policy.name}: missing, so its queues have no bound")
        elif shown != policy.as_json():
            problems.append(f"policy {policy.name}: is {shown}, not {policy.as_json()}")
        problems += [
            f"policy {policy.name}: {other['name']} is preferred to it for {queue}"
            for other in found
            if other["name"] != policy.name and other["priority"] >= PRIORITY
            for queue in sorted(policy.queues)
            if re.search(other["pattern"], queue)
            and other["apply-to"] in ("all", "queues", "quorum_queues")
        ]
    return problems


def unwanted_policies(
    wanted: Sequence[Policy], services: Sequence[str], found: Sequence[dict[str, Any]]
) -> list[str]:
    """Return the policies that bound queues of these services, and no longer should."""
    names = {policy_name(service) for service in services} - {each.name for each in wanted}
    return sorted(row["name"] for row in found if row["name"] in names)
