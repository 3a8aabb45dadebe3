"""Runs a system with a proxy on every connection from a service to a server, and its faults."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from deploy.installation import Installation
from deploy.local.private import start_service, wait_for_process
from deploy.servers.postgres import data_folder
from deploy.servers.processes import StartFailed, recorded
from deploy.services import ServiceSpec, service_named
from tests.chaos.schedule import LINES, PROCESSES, RELAYS, SERVERS, Fault, Kind
from tests.e2e.system import SETTINGS, System, freeze, kill, own_folder, thaw
from tests.fixtures.proxy import Proxy

STARTS_AGAIN_WITHIN = 120
"""Seconds before a service is started again. It ends when it finds no server at start."""

AT_ONCE = 3
"""The most parts that are broken at a time. A further fault waits."""


class Parts(System):
    """`Parts` are services that reach their servers through proxies. Tools connect directly."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        ports = {"postgres": self.state.postgres, "rabbitmq": self.state.rabbitmq}
        self.lines = {
            line: Proxy("127.0.0.1", ports[server]) for line, (_, server) in LINES.items()
        }
        self._relay_ports = {name: self._ports.pick() for name in RELAYS}
        self._busy = {part: asyncio.Lock() for part in (*PROCESSES, *SERVERS, *LINES)}
        self._places = asyncio.Semaphore(AT_ONCE)
        self.injected: Counter[str] = Counter()
        self.given_up: list[str] = []

    def start(self) -> None:
        super().start()
        for relay in RELAYS:
            self._start_relay(relay)

    async def inject(self, fault: Fault, tell: Callable[[str], None]) -> None:
        """Break the part, wait, and repair it. A part has one fault at a time."""
        async with self._busy[fault.part], self._places:
            tell(str(fault))
            self.injected[f"{fault.kind} {fault.sort}"] += 1
            match fault.kind:
                case Kind.CUT:
                    self.lines[fault.part].reset()
                case Kind.SILENCE:
                    self.lines[fault.part].silence()
                    await asyncio.sleep(fault.seconds)
                    await self.lines[fault.part].heal()
                case Kind.FREEZE:
                    self._servers_or_processes(fault.part, freezing=True)
                    await asyncio.sleep(fault.seconds)
                    self._servers_or_processes(fault.part, freezing=False)
                case Kind.KILL:
                    await self._kill(fault)

    def ended_of_their_own(self) -> list[str]:
        """Return the names of processes that ended without a fault of the schedule."""
        return [record.name for record in recorded(self.children.folder) if not record.process()]

    def remove(self) -> None:
        folder = self.children.folder
        shutil.rmtree(data_folder(folder), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)

    def keep_logs(self) -> Path:
        """Copy the logs to a folder that outlives the system, and return it."""
        kept = self.children.folder.with_suffix(".logs")
        shutil.copytree(self.children.folder / "logs", kept)
        return kept

    def _start(self, spec: ServiceSpec) -> None:
        start_service(self.children, self.state, self._seen_by(spec), spec, SETTINGS)

    def _start_relay(self, relay: str) -> None:
        spec = service_named(RELAYS[relay])
        also = {**SETTINGS, "ROLE": "relay", "PORT": str(self._relay_ports[relay])}
        start_service(self.children, self.state, self._seen_by(spec), spec, also, name=relay)
        wait_for_process(self.children, relay, self._relay_ports[relay])

    def _seen_by(self, spec: ServiceSpec) -> Installation:
        ports = {
            server: f"127.0.0.1:{self.lines[line].port}"
            for line, (service, server) in LINES.items()
            if service == spec.name
        }
        postgres, rabbitmq = ports["postgres"], ports["rabbitmq"]
        return replace(self.installation, postgres=postgres, rabbitmq=rabbitmq, sockets=None)

    def _servers_or_processes(self, part: str, *, freezing: bool) -> None:
        if part in SERVERS:
            (self.servers.freeze if freezing else self.servers.thaw)(part)
        else:
            (freeze if freezing else thaw)(self.children, part)

    async def _kill(self, fault: Fault) -> None:
        if fault.part == "postgres":
            await self.aside(self.servers.crash_postgres)
        elif fault.part == "rabbitmq":
            await self.aside(self.servers.crash_rabbitmq)
        else:
            await self.aside(partial(kill, self.children, fault.part))
            await asyncio.sleep(fault.seconds)
            await self._supervise(fault.part)

    async def _supervise(self, part: str) -> None:
        start = self._start_relay if part in RELAYS else self.start_again
        deadline = asyncio.get_running_loop().time() + STARTS_AGAIN_WITHIN
        while True:
            try:
                await self.aside(partial(start, part))
                break
            except StartFailed as error:
                if asyncio.get_running_loop().time() > deadline:
                    self.given_up.append(str(error))
                    break
            await self.aside(partial(kill, self.children, part))  # it may run and not be ready
            await asyncio.sleep(1)


@asynccontextmanager
async def running_parts() -> AsyncIterator[Parts]:
    """Run the system until the block ends, then remove everything."""
    parts = Parts(own_folder("chaos"))
    try:
        for line in parts.lines.values():
            await line.start()
        await parts.aside(parts.start)
        yield parts
    finally:
        await asyncio.to_thread(parts.stop)
        for line in parts.lines.values():
            await line.close()
        await asyncio.to_thread(parts.remove)
