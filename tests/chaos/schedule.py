"""Makes the schedule of the faults. The same seed gives the same schedule."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from deploy.services import SERVICES

RELAYS = {f"relay of {name}": name for name in ("orders", "payments")}
"""Second relays in processes of their own. They share the work with the relays of the services."""
PROCESSES = (*(spec.name for spec in SERVICES), *RELAYS)
SERVERS = ("postgres", "rabbitmq")
LINES = {f"{spec.name} to {server}": (spec.name, server) for spec in SERVICES for server in SERVERS}


class Kind(StrEnum):
    KILL = "kill"
    FREEZE = "freeze"
    CUT = "cut"
    SILENCE = "silence"


@dataclass(frozen=True)
class Fault:
    """A `Fault` happens `at` seconds after the start. The part is down or cut off for `seconds`."""

    at: float
    kind: Kind
    part: str
    seconds: float

    @property
    def sort(self) -> str:
        """Return the kind of the part."""
        if self.part in LINES:
            return f"line to {LINES[self.part][1]}"
        if self.part in RELAYS:
            return "relay"
        return self.part if self.part in SERVERS else "service"

    def __str__(self) -> str:
        span = "" if self.kind is Kind.CUT else f" for {self.seconds:.1f} s"
        return f"{self.kind} {self.part}{span}"


GAP_SECONDS = (0.3, 2.0)
DOWN_SECONDS = (0.1, 2.0)
STILL_SECONDS = (0.5, 4.0)


def schedule(seed: int, seconds: float) -> Sequence[Fault]:
    """Return faults for `seconds`. Every part has a fault before one has its second."""
    chance = Random(f"schedule {seed}")
    faults: list[Fault] = []
    at = 1.0
    for kind, part in _turns(chance):
        if at >= seconds:
            break
        span = chance.uniform(*(DOWN_SECONDS if kind is Kind.KILL else STILL_SECONDS))
        faults.append(Fault(round(at, 2), kind, part, round(span, 2)))
        at += chance.uniform(*GAP_SECONDS)
    return faults


def _turns(chance: Random) -> Iterator[tuple[Kind, str]]:
    """Yield a kill of each part in random order, then any fault of any part."""
    kills = [(Kind.KILL, part) for part in (*PROCESSES, *SERVERS)]
    freezes = [(Kind.FREEZE, part) for part in (*PROCESSES, *SERVERS)]
    breaks = [(kind, line) for line in LINES for kind in (Kind.CUT, Kind.SILENCE)]
    chance.shuffle(kills)
    yield from kills
    while True:
        everything = [*kills, *freezes, *breaks]
        chance.shuffle(everything)
        yield from everything
