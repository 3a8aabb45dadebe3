"""The cluster has these machines, and these processes of each service."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from deploy.installation import CHOREOGRAPHY
from deploy.services import SERVICES, ServiceSpec
from libs.messaging.saga.choreography import read

BROKERS = ("broker1", "broker2", "broker3")
DATABASES = ("db1", "db2", "db3")
"""Each machine has a Postgres, the Patroni that leads it, and a member of etcd."""
DOORS = ("door1", "door2")
"""These are proxies, which know where the primary is."""
MACHINES: Mapping[str, int] = MappingProxyType(
    {
        name: number
        for first, names in ((11, BROKERS), (21, DATABASES), (31, DOORS))
        for number, name in enumerate(names, first)
    }
)
"""The number is the last part of each machine's address."""

PUBLISHERS = frozenset(read(CHOREOGRAPHY).publishers.values())
"""The other services have nothing that a relay would send."""


@dataclass(frozen=True)
class Replica:
    """A replica is a process of a service."""

    service: str
    role: str

    @property
    def name(self) -> str:
        return f"{self.service} {self.role}"

    @property
    def serves(self) -> bool:
        return self.role in ("all", "api")


def replicas_of(spec: ServiceSpec) -> Iterator[Replica]:
    """Yield the processes of a service: each role runs in at least two."""
    yield Replica(spec.name, "all")
    yield Replica(spec.name, "api")
    yield Replica(spec.name, "worker")
    if spec.name in PUBLISHERS:
        yield Replica(spec.name, "relay")


REPLICAS = tuple(replica for spec in SERVICES for replica in replicas_of(spec))
