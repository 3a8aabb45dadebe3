"""Runs the whole system on servers of its own. A test may kill and start each of its parts."""

import asyncio
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

import psutil

from deploy.demo.market import Market
from deploy.installation import ADMINISTRATOR, SUPERUSER, Installation
from deploy.local.engine import Runtime, choose_runtime
from deploy.local.private import secrets_folder, start_service, wait_for_service
from deploy.local.state import State
from deploy.prepare import prepare_broker, prepare_databases
from deploy.secret_settings import write_secrets
from deploy.servers.ports import Ports
from deploy.servers.postgres import data_folder, start_postgres
from deploy.servers.processes import Children, recorded
from deploy.servers.rabbitmq import Broker, start_rabbitmq, wait_for_rabbitmq
from deploy.services import SERVICES, ServiceSpec, service_named
from tests.fixtures.containers import FixedContainers

SETTINGS = {
    "CODE_LIFETIME_SECONDS": "6",  # a test waits until a code expires
    "GATEWAY_LEASE_SECONDS": "6.5",  # or until a killed worker's call is repeated
    "BANK_LEASE_SECONDS": "6.5",
    "MAX_OPEN_PURCHASES": "1000",  # for one customer
}

FAULTS_AT_ONCE = 8


class Servers(Protocol):
    """`Servers` are a Postgres and a RabbitMQ that keep ports and data when they crash."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def crash_postgres(self) -> None: ...
    def crash_rabbitmq(self) -> None: ...
    def freeze(self, name: str) -> None: ...
    def thaw(self, name: str) -> None: ...


class PrivateServers:
    def __init__(self, children: Children, state: State, passwords: tuple[str, str]) -> None:
        self._children = children
        self._ports = Ports()
        self._postgres = state.postgres
        self._superuser, administrator = passwords
        self._broker = Broker(state.rabbitmq, state.management, ADMINISTRATOR, administrator)

    def start(self) -> None:
        start_rabbitmq(self._children, self._ports, self._broker, durable=False)
        self._start_postgres()
        wait_for_rabbitmq(self._children, self._broker)

    def stop(self) -> None:
        self._children.stop()

    def crash_postgres(self) -> None:
        kill(self._children, "postgres")
        self._start_postgres()

    def crash_rabbitmq(self) -> None:
        kill(self._children, "rabbitmq")
        kill(self._children, "epmd")
        start_rabbitmq(self._children, self._ports, self._broker, durable=False)
        wait_for_rabbitmq(self._children, self._broker)

    def freeze(self, name: str) -> None:
        freeze(self._children, name)

    def thaw(self, name: str) -> None:
        thaw(self._children, name)

    def _start_postgres(self) -> None:
        start_postgres(self._children, self._postgres, self._superuser, durable=False)


class System:
    """A `System` keeps data, logs and records of processes in `folder`."""

    def __init__(self, folder: Path) -> None:
        ports = self._ports = Ports()  # held as long as this system lives
        self.children = Children(folder, tied=True)
        self.state = State(
            runtime=choose_runtime().runtime,
            postgres=ports.pick(),
            rabbitmq=ports.pick(),
            management=ports.pick(),
            services={spec.name: ports.pick() for spec in SERVICES},
        )
        self.installation: Installation = self.state.installation(folder)
        self.servers = self._servers()
        # A tied child ends with the thread that started it. These live as long as the test run.
        self._threads = ThreadPoolExecutor(FAULTS_AT_ONCE)

    async def aside(self, fault: Callable[[], None]) -> None:
        """Run `fault` in a thread, while the test's own requests go on."""
        await asyncio.get_running_loop().run_in_executor(self._threads, fault)

    def _servers(self) -> Servers:
        passwords = self.installation.passwords
        secret = (passwords.password(SUPERUSER), passwords.password(f"rabbitmq {ADMINISTRATOR}"))
        if self.state.runtime is Runtime.CONTAINERS:
            ports = (self.state.postgres, self.state.rabbitmq, self.state.management)
            return FixedContainers(ports, secret)
        return PrivateServers(self.children, self.state, secret)

    @property
    def databases(self) -> dict[str, str]:
        """Return a superuser's asyncpg URL for each service's database."""
        return {
            spec.name: self.installation.database_url(spec.name, SUPERUSER) for spec in SERVICES
        }

    def market(self, *, timeout: float = 90.0) -> Market:
        addresses = {spec.name: self.state.service_url(spec.name) for spec in SERVICES}
        return Market(addresses, timeout=timeout)

    def start(self) -> None:
        self.installation.files.mkdir()
        self.servers.start()
        prepare_databases(self.installation)
        prepare_broker(self.installation)
        for spec in SERVICES:
            self._start(spec)
        for spec in SERVICES:
            wait_for_service(self.children, self.state, spec)

    def stop(self) -> None:
        self.children.stop()
        self.servers.stop()
        self._threads.shutdown()

    def hand_out(self) -> None:
        """Write the secrets that services read in files."""
        for spec in SERVICES:
            settings = self.installation.settings(spec, "127.0.0.1", self.state.services[spec.name])
            write_secrets(settings, secrets_folder(self.children.folder, spec))

    def kill(self, service: str) -> None:
        """Kill the service with SIGKILL, whatever it is doing."""
        kill(self.children, service)

    def start_again(self, service: str) -> None:
        spec = service_named(service)
        self._start(spec)
        wait_for_service(self.children, self.state, spec)

    def _start(self, spec: ServiceSpec) -> None:
        start_service(self.children, self.state, self.installation, spec, SETTINGS)


def kill(children: Children, name: str) -> None:
    """End a process and all it started. Postgres does not start beside a server process of its last
    run, and these are in groups of their own.
    """
    for process in _processes(children, name):
        started = process.children(recursive=True)
        os.killpg(process.pid, signal.SIGKILL)
        children.wait(name)
        for each in started:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        while any(_lives(each) for each in started):
            time.sleep(0.01)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def freeze(children: Children, name: str) -> None:
    """Freeze a process and everything it started, with all its connections open."""
    for process in _processes(children, name):
        for each in (process, *process.children(recursive=True)):
            each.suspend()


def thaw(children: Children, name: str) -> None:
    for process in _processes(children, name):
        for each in (*process.children(recursive=True), process):
            each.resume()


def _processes(children: Children, name: str) -> list[psutil.Process]:
    records = [record for record in recorded(children.folder) if record.name == name]
    return [process for record in records if (process := record.process()) is not None]


def own_folder(of: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"mercado-veiculo-{of}-{secrets.token_hex(2)}-"))
    folder.chmod(0o711)  # root's Postgres runs as another user
    return folder


AnySystem = TypeVar("AnySystem", bound=System)


@contextmanager
def running_system(kind: type[AnySystem]) -> Iterator[AnySystem]:
    folder = own_folder("e2e")
    system = kind(folder)
    try:
        system.start()
        yield system
    finally:
        system.stop()
        shutil.rmtree(data_folder(folder), ignore_errors=True)
        shutil.rmtree(folder)
