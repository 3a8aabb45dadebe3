"""Makes the figures of docs/scale.md from the measured cost of each part, what a purchase makes
each part do, and purchases that queue for them in a simulation. Nothing is measured here;
docs/figures.md and `CPU_MS` have what was measured.
"""

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from math import ceil
from pathlib import Path
from random import Random

from deploy.gcp.catalogue import catalogue
from deploy.services import SERVICES
from tests.documents.stories import STARTS, Story, play

ROOT = Path(__file__).parents[2]
WITH_VIEWS = re.compile(r"^\| the two with payouts, kpis and portal .+? \| (\d+) ms,", re.MULTILINE)
RELAY = re.compile(r"^\| relay to aiormq.+?\(([\d,]+) events/s\)", re.MULTILINE)

POSTGRES, BROKER = "postgres", "rabbitmq"
CPU_MS: Mapping[str, float] = {
    POSTGRES: 9.6,
    "orders": 8.2,
    "payments": 7.3,
    "portal": 5.4,
    BROKER: 5.3,
    "vehicles": 4.9,
    "customers": 3.5,
    "kpis": 1.2,
    "payouts": 0.2,
}
"""Milliseconds of processor time a purchase by part, as `./taskw bench` printed them with the sum
that docs/figures.md states."""
MEASURED_RATE = 37.6
"""Purchases sold a second in the same run, with two cores, all services and 40 buyers."""

SEED = 7
PURCHASES = 2_000
"""Purchases in each simulated row."""
BUSY = 0.6
"""A part should not be busier. Otherwise waits grow fast, and a failed machine's share has no room
elsewhere.
"""
CELL = 500
"""Purchases a second for which one cell is sized."""
COPIES = 3
"""Nodes of a broker. Each is counted with the whole of the measured work."""
SERVERS = 2
"""Servers of a Postgres: itself and its standby, which is as large."""
GB_A_CORE = 4
"""GB of memory for each core of Postgres and brokers."""
GB_A_PROCESS = 0.5
"""GB of memory for a process of a service: the limit in deploy/terraform/run.tf."""
HOURS_A_MONTH = 730
PRICES: Mapping[str, tuple[float, str]] = {
    "run vcpu": (0.0648, "vCPU-hour of Cloud Run, instance-based, tier 1"),
    "run gb": (0.0072, "GB-hour of memory of Cloud Run, instance-based, tier 1"),
    "sql vcpu": (0.0413, "vCPU-hour of Cloud SQL, Enterprise"),
    "sql gb": (0.007, "GB-hour of memory of Cloud SQL, Enterprise"),
    "sql disk": (0.17, "GB-month of SSD of Cloud SQL"),
    "vm vcpu": (0.0316, "vCPU-hour of a virtual machine, N2"),
    "vm gb": (0.0042, "GB-hour of memory of a virtual machine, N2"),
}
"""In US dollars and what they buy, in us-central1; docs/scale.md says where they come from."""
CODE = "payment.code_generated.v1"


@dataclass(frozen=True)
class Task:
    """A `Task` is one transaction of a service: a request, or the delivery of an event."""

    service: str
    delivered: bool
    starts: tuple[int, ...]
    shows_code: bool


@dataclass(frozen=True)
class Seen:
    """`p50` and `p99` are milliseconds from the request until orders knows the payment code."""

    p50: float
    p99: float
    busy: Mapping[str, float]


def machine() -> str:
    """Tell how purchases do on the measured machine, where every part shares two cores."""
    rows: list[tuple[object, ...]] = []
    work = sum(CPU_MS[part] for part in _parts())
    for rate in (10, 20, 30, 40, 50):
        busy = rate * work / 1000 / 2
        if busy >= 1:
            rows.append((rate, f"{busy:.0%}", "the queues grow without end", ""))
            continue
        seen = simulated(rate, {"machine": 2}, dict.fromkeys(_parts(), "machine"))
        rows.append((rate, f"{busy:.0%}", f"{seen.p50:.0f} ms", f"{seen.p99:.0f} ms"))
    head = ("purchases a second", "processors busy", "to the payment code, p50", "p99")
    return _table(head, rows) + (
        f"\n\nBy processor time alone two cores end at {2000 / work:.0f} purchases a second; the"
        f" measured rate is {MEASURED_RATE}, {MEASURED_RATE / (2000 / work):.0%} of that."
    )


def bounds() -> str:
    """Tell the highest rate of each part when every part has its own cores, the lowest first."""
    _agree()
    relay = _stated(RELAY)
    told = Counter(each.source for each in _story().events)
    most, events = told.most_common(1)[0]
    found = [
        (1000 / cost, f"{part}: one core", f"{cost} ms a purchase") for part, cost in CPU_MS.items()
    ]
    found = [each for each in found if each[1] != "payouts: one core"]
    found.append(
        (
            relay / events,
            f"relays of {most}",
            f"{relay:,.0f} events a second, {events} events a purchase",
        )
    )
    found.append(
        (relay, "one quorum queue", f"it took {relay:,.0f} events a second from the relay")
    )
    rows = [(part, why, f"{rate:,.0f}") for rate, part, why in sorted(found)]
    return (
        _table(("part", "measured", "purchases a second"), rows)
        + f"\n\nPlan for {BUSY:.0%} of each."
        + "".join(
            f" What {each} costs is not measured yet, and not reckoned here:"
            " `./taskw bench purchases` prints it."
            for each in _unmeasured()
        )
    )


def cell() -> str:
    """Tell how one cell does at its rate, and with fewer cores for one of its parts."""
    rows: list[tuple[object, ...]] = []
    wanted = _cores(CELL)
    where = {part: part for part in _parts()}
    variants = [("as planned", wanted)]
    for part in (POSTGRES, "orders"):
        least = ceil(CELL * CPU_MS[part] / 1000)
        variants.append((f"{part} with {least} cores for {wanted[part]}", {**wanted, part: least}))
    for name, cores in variants:
        seen = simulated(CELL, cores, where)
        part, busy = max(seen.busy.items(), key=lambda each: each[1])
        rows.append((name, f"{part}, {busy:.0%}", f"{seen.p50:.0f} ms", f"{seen.p99:.0f} ms"))
    head = ("cell", "busiest part", "to the payment code, p50", "p99")
    return (
        f"It is made for {CELL} purchases a second, with each part at most {BUSY:.0%} busy on"
        " average.\n\n" + _table(head, rows)
    )


def ladder() -> str:
    """Tell the cores and the cost of each rate."""
    rows = []
    days = _days_kept()
    for rate in (50, 500, 5_000, 50_000):
        cells = ceil(rate / CELL)
        cores = _cores(rate / cells)
        services = cells * sum(n for part, n in cores.items() if part not in (POSTGRES, BROKER))
        postgres = cells * SERVERS * cores[POSTGRES]
        broker = cells * COPIES * cores[BROKER]
        kept = rate * _story().bytes * days * 24 * 3600 / 1e9
        hour = _dollars(services, postgres, broker, kept)
        rows.append(
            (
                f"{rate:,}",
                cells,
                f"{services:,}",
                f"{postgres:,}",
                f"{broker:,}",
                f"{rate * len(_story().events):,}",
                f"{rate * _story().deliveries:,}",
                f"{kept:,.0f} GB",
                f"${hour:,.2f}",
                f"${hour / (rate * 3600) * 1e6:.2f}",
            )
        )
    head = (
        "purchases a second",
        "cells",
        "service processes, a vCPU each",
        "vCPUs of Postgres, standbys too",
        "vCPUs of brokers",
        "events a second",
        "deliveries a second",
        f"events' bodies, kept for {days} days",
        "an hour",
        "a million purchases",
    )
    return _table(head, rows)


def prices() -> str:
    """Tell the prices from which the cost of each rate is computed."""
    rows = [(what, f"${dollars}") for dollars, what in PRICES.values()]
    return _table(("one", "list price"), rows) + (
        f"\n\nA Postgres is {SERVERS} servers with {GB_A_CORE} GB a vCPU and a disk each, a broker"
        f" {COPIES} virtual machines with {GB_A_CORE} GB a vCPU, a process of a service has"
        f" {GB_A_PROCESS} GB. A month has {HOURS_A_MONTH} hours."
    )


def simulated(rate: float, cores: Mapping[str, int], where: Mapping[str, str]) -> Seen:
    """Simulate purchases that come at random at `rate` a second. Each task takes the broker (a
    delivery), its service and Postgres in turn, at the station that `where` names. Stations have
    `cores`, serve in the order of arrival, and take exponentially distributed times.
    """
    chance = Random(SEED)
    tasks, costs = _tasks(), _costs()
    free = {station: [0.0] * number for station, number in cores.items()}
    worked: defaultdict[str, float] = defaultdict(float)
    order = count()
    due: list[tuple[float, int, float, int, int]] = []
    came = 0.0
    for _ in range(PURCHASES):
        came += chance.expovariate(rate) * 1000
        due.append((came, next(order), came, 0, 0))
    heapq.heapify(due)
    took = []
    while due:
        now, _, began, number, phase = heapq.heappop(due)
        task = tasks[number]
        parts = ([BROKER] if task.delivered else []) + [task.service, POSTGRES]
        part = parts[phase]
        station = where[part]
        work = chance.expovariate(1 / costs[part])
        done = max(now, heapq.heappop(free[station])) + work
        heapq.heappush(free[station], done)
        if done <= came:
            worked[station] += work
        if phase + 1 < len(parts):
            heapq.heappush(due, (done, next(order), began, number, phase + 1))
            continue
        if task.shows_code:
            took.append(done - began)
        for following in task.starts:
            heapq.heappush(due, (done, next(order), began, following, 0))
    took = sorted(took)
    busy = {station: worked[station] / came / number for station, number in cores.items()}
    return Seen(took[len(took) // 2], took[len(took) * 99 // 100], busy)


def _unmeasured() -> Sequence[str]:
    """Return the services whose cost was not measured. The figures leave them out."""
    return [spec.name for spec in SERVICES if spec.name not in CPU_MS]


@cache
def _story() -> Story:
    return play("sold")


@cache
def _tasks() -> Sequence[Task]:
    """Return the tasks of one purchase, the request first. An event without a causing event has a
    request of its own, which comes at once where the event before it has arrived.
    """
    events = [event for event in _story().events if event.source in CPU_MS]
    services, requests = [STARTS], {0}
    made: dict[tuple[str | None, str], int] = {(events[0].cause, STARTS): 0}
    of_event: dict[str, list[int]] = {}
    codes = set()
    for event in events:
        of_event[event.id] = []
        for service, _ in event.steps:
            if service not in CPU_MS:
                continue
            number = len(services)
            made.setdefault((event.id, service), number)
            of_event[event.id].append(number)
            if event.type == CODE and service == STARTS:
                codes.add(number)
            services.append(service)
    starts: defaultdict[int, list[int]] = defaultdict(list)
    for before, event in zip([events[0], *events], events, strict=False):
        publisher = made.get((event.cause, event.source))
        if publisher is None:
            publisher = len(services)
            services.append(event.source)
            made[event.cause, event.source] = publisher
            requests.add(publisher)
            starts[of_event[before.id][0]].append(publisher)
        starts[publisher] += of_event[event.id]
    return [
        Task(
            service=service,
            delivered=number not in requests,
            starts=tuple(starts[number]),
            shows_code=number in codes,
        )
        for number, service in enumerate(services)
    ]


def _parts() -> Sequence[str]:
    """Return the parts that do work for a purchase up to its sale."""
    services = {task.service for task in _tasks()}
    return [part for part in CPU_MS if part in (POSTGRES, BROKER) or part in services]


@cache
def _costs() -> Mapping[str, float]:
    """Return the milliseconds of one task at a part. All tasks of a part cost the same."""
    tasks = _tasks()
    times = Counter(task.service for task in tasks)
    times[POSTGRES], times[BROKER] = len(tasks), sum(task.delivered for task in tasks)
    return {part: CPU_MS[part] / times[part] for part in _parts()}


def _cores(rate: float) -> Mapping[str, int]:
    """Return whole cores for each part at this rate, so that none is busier than it should be."""
    return {part: ceil(rate * cost / 1000 / BUSY) for part, cost in CPU_MS.items()}


def _dollars(services: int, postgres: int, broker: int, kept: float) -> float:
    """Return the price of an hour with this many vCPUs of each part, and `kept` GB on all Postgres
    disks together.
    """
    price = {name: dollars for name, (dollars, _) in PRICES.items()}
    return (
        services * (price["run vcpu"] + GB_A_PROCESS * price["run gb"])
        + postgres * (price["sql vcpu"] + GB_A_CORE * price["sql gb"])
        + broker * (price["vm vcpu"] + GB_A_CORE * price["vm gb"])
        + kept * SERVERS * price["sql disk"] / HOURS_A_MONTH
    )


def _days_kept() -> int:
    """Return the days for which archives keep published events."""
    kept = {each["settings"]["OUTBOX_RETENTION_DAYS"] for each in catalogue()["services"]}
    (days,) = kept
    return int(days)


def _agree() -> None:
    """Raise LookupError where docs/figures.md states another sum than that of `CPU_MS`."""
    stated = _stated(WITH_VIEWS)
    if round(sum(CPU_MS.values())) != stated:
        raise LookupError(
            f"docs/figures.md states {stated:.0f} ms a purchase, and the parts in"
            f" tests/documents/scale.py are {sum(CPU_MS.values()):.1f} ms: bench prints both"
        )


def _stated(row: re.Pattern[str]) -> float:
    found = row.search((ROOT / "docs" / "figures.md").read_text())
    if found is None:
        raise LookupError(f"docs/figures.md has no row {row.pattern}")
    return float(found[1].replace(",", ""))


def _table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
