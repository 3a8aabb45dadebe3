"""Runs a cluster whose parts fail one at a time, and breaks and repairs each part."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

import psutil

from deploy.cluster.databases import Replication, etcd_of
from deploy.cluster.plan import BROKERS, DATABASES, DOORS, REPLICAS
from deploy.cluster.system import Cluster, check_programs, delete, end_postgres, new_plan
from deploy.installation import VHOST
from deploy.servers.ports import Ports
from deploy.servers.processes import Children
from tests.e2e.system import SETTINGS, freeze, kill, own_folder, thaw

WHOLE_WITHIN = 180.0
"""Seconds until a cluster whose part is repaired must be whole again."""


class Act(StrEnum):
    KILL = "kill"
    FREEZE = "freeze"
    CUT_OFF = "cut off"
    SWITCH_OVER = "switch over"


class Part(StrEnum):
    BROKER = "broker node"
    LEADER = "broker node that leads a queue"
    PRIMARY = "Postgres primary"
    STANDBY = "Postgres standby"
    ETCD = "etcd member"
    DOOR = "proxy"
    REPLICA = "replica of a service"


BOUNDS = {
    (Act.KILL, Part.BROKER): 5.0,
    (Act.KILL, Part.LEADER): 5.0,
    (Act.KILL, Part.PRIMARY): 40.0,
}
"""Seconds within which purchases flow again."""
WITHOUT_REFUSAL = (Part.BROKER, Part.LEADER)
"""Whatever happens to a broker, every purchase is accepted at once."""

FIRST = ((Act.KILL, Part.LEADER), (Act.KILL, Part.PRIMARY))
THEN = (
    (Act.KILL, Part.BROKER),
    (Act.SWITCH_OVER, Part.PRIMARY),
    (Act.CUT_OFF, Part.LEADER),
    (Act.CUT_OFF, Part.PRIMARY),
    (Act.KILL, Part.REPLICA),
    (Act.KILL, Part.ETCD),
    (Act.KILL, Part.DOOR),
    (Act.KILL, Part.STANDBY),
    (Act.FREEZE, Part.BROKER),
    (Act.FREEZE, Part.PRIMARY),
    (Act.FREEZE, Part.DOOR),
    (Act.FREEZE, Part.REPLICA),
)


@dataclass(frozen=True)
class ClusterFault:
    act: Act
    part: Part

    def __str__(self) -> str:
        article = {Part.PRIMARY: "the", Part.ETCD: "an"}.get(self.part, "a")
        return f"{self.act} {article} {self.part}"

    @property
    def bound(self) -> float | None:
        return BOUNDS.get((self.act, self.part))


def turns(seed: int) -> Iterator[ClusterFault]:
    """Yield the faults in turn, for ever: first those with a bound, then all others in random
    order.
    """
    yield from (ClusterFault(*each) for each in FIRST)
    for turn in count():
        rest = [*THEN, *(FIRST if turn else ())]
        Random(f"cluster {seed} {turn}").shuffle(rest)
        yield from (ClusterFault(*each) for each in rest)


class ClusterParts:
    def __init__(self, folder: Path, replication: Replication, seed: int) -> None:
        self._ports = Ports()  # held as long as this cluster lives
        self.children = Children(folder, tied=True)
        plan = new_plan(self._ports, replication)
        self.cluster = Cluster(self.children, plan, also=SETTINGS, durable=False)
        self._chance = Random(f"targets {seed}")
        # A tied child ends with the thread that started it, and this thread lives as long as the
        # run.
        self._thread = ThreadPoolExecutor(1)

    async def aside(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def target(self, part: Part) -> str:
        """Return the machine or process to be broken now."""
        match part:
            case Part.BROKER:
                return self._one_of(BROKERS)
            case Part.LEADER:
                return self._one_of(sorted(self.cluster.brokers.leaders(VHOST).values()))
            case Part.PRIMARY:
                return self.cluster.databases.primary() or DATABASES[0]
            case Part.STANDBY:
                primary = self.cluster.databases.primary()
                return self._one_of([each for each in DATABASES if each != primary])
            case Part.ETCD:
                return etcd_of(self._one_of(DATABASES))
            case Part.DOOR:
                return self._one_of(DOORS)
            case Part.REPLICA:
                return self._one_of([replica.name for replica in REPLICAS])

    def breaks(self, act: Act, target: str) -> None:
        match act:
            case Act.KILL:
                postgres = self._postgres(target)
                kill(self.children, target)
                for process in postgres:
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
            case Act.FREEZE:
                freeze(self.children, target)
                for process in self._postgres(target):
                    process.suspend()
            case Act.CUT_OFF:
                self.cluster.network.cut_off(target)
            case Act.SWITCH_OVER:
                self.cluster.databases.switch_over()

    def repair(self, act: Act, target: str) -> None:
        match act:
            case Act.KILL:
                self._start(target)
            case Act.FREEZE:
                for process in self._postgres(target):
                    with suppress(psutil.NoSuchProcess):
                        process.resume()
                thaw(self.children, target)
                if target in BROKERS:  # the others go on without a node that was frozen
                    kill(self.children, target)
                    self._start(target)
            case Act.CUT_OFF:
                self.cluster.network.join_again(target)

    def is_whole(self) -> bool:
        return not self.missing()

    def missing(self) -> list[str]:
        """Return the parts that do not work."""
        there = self.cluster.brokers.running()
        return [
            *([] if self.cluster.databases.is_whole() else ["a standby"]),
            *(name for name in BROKERS if name not in there),
            *(each.name for each in REPLICAS if not self.cluster.is_ready(each)),
        ]

    def remove(self) -> None:
        delete(self.children.folder)

    def keep_logs(self) -> Path:
        """Copy the logs to a folder that outlives the cluster, and return it."""
        kept = self.children.folder.with_suffix(".logs")
        shutil.copytree(self.children.folder / "logs", kept)
        return kept

    def stop(self) -> None:
        self.children.stop()
        end_postgres(self.children.folder)
        self._thread.shutdown()

    def _start(self, target: str) -> None:
        if target in BROKERS:
            self.cluster.brokers.start(target)
        elif target in DATABASES:
            self.cluster.databases.start(target)
        elif target in DOORS:
            self.cluster.start_door(target)
        elif target in map(etcd_of, DATABASES):
            self.cluster.databases.start_etcd(target.split()[0])
        else:
            replica = next(each for each in REPLICAS if each.name == target)
            self.cluster.start_replica(replica)

    def _postgres(self, target: str) -> Sequence[psutil.Process]:
        return self.cluster.databases.processes(target) if target in DATABASES else []

    def _one_of(self, names: Sequence[str]) -> str:
        return self._chance.choice(names)


@asynccontextmanager
async def running_cluster(replication: Replication, seed: int) -> AsyncIterator[ClusterParts]:
    """Run a cluster until the block ends, then remove everything. Raises StartFailed."""
    check_programs()
    parts = ClusterParts(own_folder("cluster"), replication, seed)
    try:
        await parts.aside(partial(parts.cluster.start))
        yield parts
    finally:
        await asyncio.to_thread(parts.stop)
        await asyncio.to_thread(parts.remove)
