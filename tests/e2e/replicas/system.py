"""Runs a system of several processes of each role of each service, behind an nginx."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from deploy.cluster.plan import PUBLISHERS
from deploy.installation import ROOT
from deploy.local.private import start_service, wait_for_process
from deploy.prepare import prepare_broker, prepare_databases
from deploy.servers.processes import log_of, stop_recorded
from deploy.services import SERVICES, service_named
from tests.e2e.replicas.front import Front
from tests.e2e.system import SETTINGS, System

READY_WITHIN = 180.0
"""Seconds until a process is ready, because many start at once."""
ALSO = {"POOL_SIZE": "5", "TRUSTED_PROXIES": "127.0.0.1"}


@dataclass(frozen=True)
class Replica:
    """A `Replica` is a process of a service, which runs the code of the tree at `root`."""

    service: str
    role: str
    name: str
    port: int
    root: Path

    @property
    def serves(self) -> bool:
        return self.role in ("api", "all")


class Replicated(System):
    """A `Replicated` system starts with `of_each` processes for each of `roles`."""

    of_each = 3

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.replicas: list[Replica] = []
        self.front = Front(self.children, self.state.services)
        self._numbers = count(1)

    def start(self) -> None:
        self.installation.files.mkdir()
        self.servers.start()
        self.prepare()
        for spec in SERVICES:
            wanted = self.one_of_each(spec.name) * self.of_each
            self.replicas += self._started(wanted, self.code_of(spec.name))
        self.front.start(self._places())

    def code_of(self, _service: str) -> Path:
        """Return the tree whose code a service starts with."""
        return ROOT

    def roles(self, service: str) -> tuple[str, ...]:
        """Return the roles of a service. One that publishes nothing needs no relay."""
        return ("api", "worker", "relay") if service in PUBLISHERS else ("api", "worker")

    def one_of_each(self, service: str) -> list[tuple[str, str]]:
        return [(service, role) for role in self.roles(service)]

    def prepare(self) -> None:
        """Prepare databases and topology, before the first process starts."""
        prepare_databases(self.installation)
        prepare_broker(self.installation)

    def of(self, service: str, role: str) -> list[Replica]:
        return [each for each in self.replicas if (each.service, each.role) == (service, role)]

    def oldest(self, service: str) -> list[Replica]:
        """Return the oldest replica of each role."""
        return [self.of(service, role)[0] for role in self.roles(service)]

    def apis(self, service: str) -> list[str]:
        """Return the addresses of the processes that answer requests."""
        return [f"http://127.0.0.1:{port}" for port in self._places()[service]]

    def add(self, wanted: Iterable[tuple[str, str]], root: Path = ROOT) -> None:
        """Start one more process for each of these services and roles. They get requests when they
        are ready.
        """
        self.replicas += self._started(wanted, root)
        self.front.lead(self._places())

    def take_away(self, replicas: Sequence[Replica]) -> None:
        """Send these replicas no more requests, then SIGTERM. Returns when they have ended."""
        self.replicas = [each for each in self.replicas if each not in replicas]
        self.front.lead(self._places())
        names = {each.name for each in replicas}
        stop_recorded(self.children.folder, names)
        for name in names:
            self.children.wait(name)

    def forget(self, replica: Replica) -> None:
        """Forget a replica that was killed. After the next change it gets no more requests."""
        self.replicas.remove(replica)

    def logged(self) -> list[dict[str, Any]]:
        """Return the lines of all processes' logs."""
        names = [each.name for each in self.replicas]
        logs = [log_of(self.children.folder, name).read_text() for name in names]
        return [json.loads(line) for log in logs for line in log.splitlines()]

    def _places(self) -> dict[str, list[int]]:
        serving = [each for each in self.replicas if each.serves]
        return {
            spec.name: [each.port for each in serving if each.service == spec.name]
            for spec in SERVICES
        }

    def _started(self, wanted: Iterable[tuple[str, str]], root: Path) -> list[Replica]:
        started = [self._start_replica(service, role, root) for service, role in wanted]
        for each in started:
            wait_for_process(self.children, each.name, each.port, READY_WITHIN)
        return started

    def _start_replica(self, service: str, role: str, root: Path) -> Replica:
        name = f"{service} {role} {next(self._numbers)}"
        replica = Replica(service, role, name, self._ports.pick(), root)
        start_service(
            self.children,
            self.state,
            self.installation,
            service_named(service),
            {**SETTINGS, **ALSO, **self.settings_of(replica)},
            name=name,
            root=root,
        )
        return replica

    def settings_of(self, replica: Replica) -> dict[str, str]:
        """Return the settings of this process that are not those of all."""
        return {"ROLE": replica.role, "PORT": str(replica.port)}
