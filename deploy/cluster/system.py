"""The whole system runs on a cluster; this module starts and stops it."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from deploy.cluster.brokers import Brokers
from deploy.cluster.databases import (
    PATIENCE,
    Databases,
    Replication,
    etcd_of,
    postgres_processes,
)
from deploy.cluster.doors import door_addresses, start_haproxy, start_nginx
from deploy.cluster.network import Network, check_rights, free_network
from deploy.cluster.plan import DATABASES, DOORS, MACHINES, REPLICAS, Replica
from deploy.installation import Installation
from deploy.local.engine import Runtime
from deploy.local.private import EXPECTED, is_ready, start_service, wait_for_process
from deploy.local.state import NotUp, State, make
from deploy.passwords import Passwords
from deploy.prepare import prepare_broker, prepare_databases
from deploy.servers.ports import Ports
from deploy.servers.postgres import data_folder
from deploy.servers.processes import Children, StartFailed, recorded, stop_recorded
from deploy.services import SERVICES, service_named

PROGRAMS = {"etcd": "etcd-server", "haproxy": "haproxy", "nginx": "nginx-light"}
"""These are Debian's packages, by the program that each brings."""

NETWORK_IS_PRIVATE = {"TLS": "off", "TRUSTED_PROXIES": "127.0.0.1", "POOL_SIZE": "5"}
"""Every process has these settings: the machines' network does not leave this machine."""


@dataclass(frozen=True)
class Plan:
    """These values stay the same at each start: `network` is the number in all addresses, and the
    others are ports of the loopback, of nginx and of the processes behind it.
    """

    replication: Replication
    network: int
    management: int
    services: dict[str, int]
    replicas: dict[str, int]

    def save(self, folder: Path) -> None:
        (folder / "cluster.json").write_text(json.dumps(asdict(self), indent=2) + "\n")


def load_plan(folder: Path) -> Plan:
    """Read the plan. Raises NotUp where no cluster was started."""
    try:
        return Plan(**json.loads((folder / "cluster.json").read_text()))
    except FileNotFoundError:
        raise NotUp("no cluster is up: ./taskw cluster up starts one") from None
    except (ValueError, TypeError):
        raise NotUp(f"{folder / 'cluster.json'} cannot be read: ./taskw cluster down") from None


def new_plan(ports: Ports, replication: Replication) -> Plan:
    return Plan(
        replication,
        free_network(),
        ports.pick(),
        {spec.name: ports.pick() for spec in SERVICES},
        {replica.name: ports.pick() for replica in REPLICAS},
    )


class Cluster:
    """`also` are settings of the services. One that is not `durable` may lose its data when the
    machine crashes, not when a process does.
    """

    def __init__(
        self,
        children: Children,
        plan: Plan,
        *,
        also: dict[str, str] | None = None,
        durable: bool = True,
    ) -> None:
        self.children = children
        self.plan = plan
        self.network = Network(children, plan.network, MACHINES)
        passwords = Passwords(children.folder / "secrets.json")
        self.brokers = Brokers(children, self.network, passwords)
        self.databases = Databases(
            children, self.network, passwords, plan.replication, durable=durable
        )
        self.installation = Installation(
            postgres=door_addresses(self.network),
            rabbitmq=self.brokers.addresses,
            management=f"127.0.0.1:{plan.management}",
            passwords=passwords,
            files=children.folder / "files",
            services={name: f"http://127.0.0.1:{port}" for name, port in plan.services.items()},
        )
        self._also = {**(also or {}), **NETWORK_IS_PRIVATE}

    def start(self) -> None:
        """Start what does not run. Raises StartFailed, with one line and a log's last lines."""
        self.installation.files.mkdir(mode=0o700, exist_ok=True)
        try:
            self._start_servers()
            self._start_services()
        except EXPECTED as error:
            cause = self.children.ended() or " ".join(str(error).split()) or type(error).__name__
            raise StartFailed(cause) from error

    def start_replica(self, replica: Replica) -> None:
        """Start one process; it is not ready yet when this returns."""
        state = State(Runtime.LOCAL, 0, 0, self.plan.management, self.plan.services)
        port = self.plan.replicas[replica.name]
        also = {**self._also, "ROLE": replica.role, "PORT": str(port)}
        spec = service_named(replica.service)
        start_service(self.children, state, self.installation, spec, also, name=replica.name)

    def wait_for_replica(self, replica: Replica) -> None:
        """Wait until the process is ready, or raise StartFailed."""
        port = self.plan.replicas[replica.name]
        wait_for_process(self.children, replica.name, port, PATIENCE)

    def is_ready(self, replica: Replica) -> bool:
        port = self.plan.replicas[replica.name]
        return self.children.runs(replica.name) and is_ready(f"http://127.0.0.1:{port}/ready")

    def start_nginx(self) -> None:
        ports = {replica: self.plan.replicas[replica.name] for replica in REPLICAS}
        start_nginx(self.children, self.network, self.plan.services, ports, self.plan.management)

    def start_door(self, door: str) -> None:
        start_haproxy(self.children, self.network, door)

    def _missing(self, names: tuple[str, ...], start: Callable[[str], None]) -> None:
        for name in names:
            if not self.children.runs(name):
                start(name)

    def _start_servers(self) -> None:
        runs = self.children.runs
        with step("network of machines"):
            self.network.start()
        for name in DATABASES:
            if not runs(etcd_of(name)):
                self.databases.start_etcd(name)
        self._missing(DATABASES, self.databases.start)
        self._missing(DOORS, self.start_door)
        if not runs("nginx"):
            self.start_nginx()
        with step("RabbitMQ on three machines"):
            self.brokers.start_all()
        with step("Postgres on three machines"):
            self.databases.wait()
        with step("databases, roles, migrations"):
            prepare_databases(self.installation)
        with step("vhost, users, exchanges, queues"):
            prepare_broker(self.installation)

    def _start_services(self) -> None:
        for spec in SERVICES:
            mine = [replica for replica in REPLICAS if replica.service == spec.name]
            with step(f"{spec.name}, {len(mine)} times"):
                for replica in mine:
                    if not self.children.runs(replica.name):
                        self.start_replica(replica)
                for replica in mine:
                    self.wait_for_replica(replica)


def check_programs() -> None:
    """Raise StartFailed, naming everything to install."""
    missing = [package for program, package in PROGRAMS.items() if not _is_there(program)]
    if missing:
        packages = " ".join(missing)
        raise StartFailed(f"the cluster needs more programs: sudo apt-get install {packages}")
    check_rights()


def _is_there(program: str) -> bool:
    return shutil.which(program) is not None or Path("/usr/sbin", program).exists()


def up(folder: Path, replication: Replication | None = None) -> Cluster:
    """Start what does not run, with the existing data. Where `replication` is None it stays as it
    was; in a new cluster it is synchronous. Raises StartFailed or NotUp.
    """
    check_programs()
    make(folder)
    children = Children(folder, tied=False)
    try:
        plan = load_plan(folder)
    except NotUp:
        if children.running():
            stop_recorded(folder)
        ports = Ports()
        plan = new_plan(ports, replication or "synchronous")
        plan.save(folder)
    if replication not in (None, plan.replication):
        raise StartFailed(
            f"replication is {plan.replication} here: ./taskw cluster down --clean, to change it"
        )
    cluster = Cluster(children, plan)
    try:
        cluster.start()
    except BaseException:
        print("stopping what was started", flush=True)
        children.stop()
        end_postgres(folder)
        raise
    return cluster


def down(folder: Path) -> list[str]:
    """Stop all of it. Returns the names of what ran. Raises StillRunning."""
    stopped = stop_recorded(folder)
    end_postgres(folder)
    return stopped


def end_postgres(folder: Path) -> None:
    """End Postgres on machines whose Patroni ended before it could do that."""
    for name in DATABASES:
        for process in postgres_processes(folder, name):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def delete(folder: Path) -> None:
    """Delete all data of a cluster that does not run."""
    for name in DATABASES:
        shutil.rmtree(data_folder(folder / name), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def lost(folder: Path) -> list[str]:
    """Return the names of what was started and does not run."""
    return [record.name for record in recorded(folder) if record.process() is None]


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print how long the block took."""
    print(f"  {name} …", end="", flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print(" failed", flush=True)
        raise
    print(f" {time.monotonic() - started:.1f} s", flush=True)
