"""Postgres is on three machines: a primary and two standbys. Patroni promotes a standby when the
primary fails, and keeps its own state in etcd.
"""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

import httpx
import psutil

from deploy.cluster.network import Network
from deploy.cluster.plan import DATABASES
from deploy.installation import SUPERUSER
from deploy.passwords import Passwords
from deploy.servers.postgres import (
    FORGETFUL,
    SETTINGS,
    data_folder,
    is_reachable,
    server_environment,
    server_programs,
    server_user,
)
from deploy.servers.processes import Children, StartFailed

PORT, PATRONI_PORT, CLIENT_PORT, PEER_PORT = 5432, 8008, 2379, 2380
DATA = "data"
FOLLOWER = "follower"
SCOPE = "mercado"
Replication: TypeAlias = Literal["synchronous", "asynchronous"]

LEADER_SECONDS = 20
"""A primary that is silent stays the primary for this long; Patroni takes no less."""
PATIENCE = 300.0
"""The first start takes at most this many seconds, on a busy machine."""

LOOK_SECONDS = 5
RETRY_SECONDS = 5


class Databases:
    """With `synchronous` replication a commit waits until a standby has it too, and only that
    standby may become the primary.
    """

    def __init__(
        self,
        children: Children,
        network: Network,
        passwords: Passwords,
        replication: Replication,
        *,
        durable: bool,
    ) -> None:
        self._children = children
        self._network = network
        self._passwords = passwords
        self._replication = replication
        self._durable = durable

    def start_etcd(self, name: str) -> None:
        address = self._network.address(name)
        home = self._children.folder.absolute() / f"{name}-etcd"
        members = (f"{each}=http://{self._network.address(each)}:{PEER_PORT}" for each in DATABASES)
        options = {
            "name": name,
            "data-dir": home,
            "listen-client-urls": f"http://{address}:{CLIENT_PORT}",
            "advertise-client-urls": f"http://{address}:{CLIENT_PORT}",
            "listen-peer-urls": f"http://{address}:{PEER_PORT}",
            "initial-advertise-peer-urls": f"http://{address}:{PEER_PORT}",
            "initial-cluster": ",".join(members),
            "initial-cluster-token": SCOPE,
            "heartbeat-interval": 250,
            "election-timeout": 2500,
            "logger": "zap",
        }
        command = [*self._network.inside(name), "etcd"]
        command += [f"--{option}={value}" for option, value in options.items()]
        env = {"PATH": os.environ.get("PATH", os.defpath), "GOMAXPROCS": "1"}
        self._children.start(etcd_of(name), command, rank=0, env=env)

    def start(self, name: str) -> None:
        """Start Postgres and its Patroni on a machine, or raise StartFailed."""
        user = server_user()
        if user is None:
            raise StartFailed("Postgres runs as another user than root, and only root starts it so")
        place = data_folder(self._children.folder / name)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.chown(place, user, user)
        configuration = place / "patroni.json"  # JSON is YAML too
        configuration.touch(mode=0o600)
        configuration.write_text(json.dumps(self._configuration(name, place, user), indent=2))
        shutil.chown(configuration, user, user)
        enter = self._network.inside(name, as_user=user, reads_all=_is_out_of_reach())
        command: list[str | Path] = [*enter, PATRONI, configuration]
        self._children.start(name, command, rank=1, env=server_environment(), cwd=place)

    def processes(self, name: str) -> list[psutil.Process]:
        """Return the processes of Postgres on that machine. They are no children of Patroni, and
        only Patroni ends them.
        """
        return postgres_processes(self._children.folder, name)

    def wait(self) -> None:
        """Wait until there is a primary and both others follow it. Raises StartFailed."""
        for name in DATABASES:
            self._children.wait_until(name, self.is_whole, PATIENCE)

    def is_whole(self) -> bool:
        """Return whether a primary serves, and every other one follows it closely."""
        roles = sorted(str(each.get("role")) for each in self.members() if _is_well(each))
        standby = ["replica", "replica"]
        if self._replication == "synchronous":
            standby = ["replica", "sync_standby"]
        return roles == ["leader", *standby]

    def primary(self) -> str | None:
        """Return the machine of the primary, as its Patroni reports."""
        for name in DATABASES:
            try:
                answer = httpx.get(f"{self._patroni(name)}/primary", timeout=1, trust_env=False)
            except httpx.HTTPError:
                continue
            if answer.status_code == httpx.codes.OK:
                return name
        return None

    def members(self) -> list[dict[str, Any]]:
        """Return the state of all members, from the first Patroni that answers."""
        for name in DATABASES:
            try:
                answer = httpx.get(f"{self._patroni(name)}/cluster", timeout=2, trust_env=False)
                members: list[dict[str, Any]] = answer.json()["members"]
            except (httpx.HTTPError, ValueError, KeyError):
                continue
            return members
        return []

    def last_failover(self) -> datetime | None:
        """Return the time of the last failover; None where there was none. Raises StartFailed where
        no Patroni answers.
        """
        for name in DATABASES:
            try:
                answer = httpx.get(f"{self._patroni(name)}/history", timeout=2, trust_env=False)
                timelines: list[list[Any]] = answer.json()
            except (httpx.HTTPError, ValueError):
                continue
            return datetime.fromisoformat(timelines[-1][3]) if timelines else None
        raise StartFailed("no Patroni answers: ./taskw cluster status says what runs")

    def switch_over(self) -> None:
        """Promote a standby in a planned switchover. Raises httpx.HTTPError."""
        leader = self.primary()
        httpx.post(
            f"{self._patroni(leader or DATABASES[0])}/switchover",
            json={"leader": leader},
            auth=self._patroni_account,
            timeout=60,
            trust_env=False,
        ).raise_for_status()

    @property
    def _patroni_account(self) -> tuple[str, str]:
        return ("patroni", self._passwords.password("patroni"))

    def _patroni(self, name: str) -> str:
        return f"http://{self._network.address(name)}:{PATRONI_PORT}"

    def _configuration(self, name: str, place: Path, user: str) -> Mapping[str, Any]:
        address = self._network.address(name)
        network = address.rpartition(".")[0] + ".0/24"
        settings = {**SETTINGS, "max_connections": "400", "wal_keep_size": "64MB"}
        del settings["listen_addresses"]  # Patroni sets them
        if not self._durable:
            # pg_rewind refuses to copy from a server without full pages in its log.
            settings |= {**FORGETFUL, "full_page_writes": "on"}
        who, password = self._patroni_account
        return {
            "scope": SCOPE,
            "name": name,
            "restapi": {
                "listen": f"{address}:{PATRONI_PORT}",
                "connect_address": f"{address}:{PATRONI_PORT}",
                "authentication": {"username": who, "password": password},
            },
            "etcd3": {
                "hosts": [f"{self._network.address(each)}:{CLIENT_PORT}" for each in DATABASES]
            },
            "bootstrap": {
                "dcs": {
                    "ttl": LEADER_SECONDS,
                    "loop_wait": LOOK_SECONDS,
                    "retry_timeout": RETRY_SECONDS,
                    "maximum_lag_on_failover": 64 * 1024 * 1024,
                    "synchronous_mode": self._replication == "synchronous",
                    "postgresql": {
                        "use_pg_rewind": True,
                        "use_slots": True,
                        "parameters": settings,
                    },
                },
                "initdb": [
                    {"encoding": "UTF8"},
                    {"locale": "C.UTF-8"},
                    "data-checksums",
                    "no-sync",
                ],
            },
            "postgresql": {
                "listen": f"{address}:{PORT}",
                "connect_address": f"{address}:{PORT}",
                "bin_dir": str(server_programs(user)),
                "data_dir": str(place / DATA),
                "pgpass": str(place / "pgpass"),
                "authentication": {
                    "superuser": {
                        "username": SUPERUSER,
                        "password": self._passwords.password(SUPERUSER),
                    },
                    "replication": {
                        "username": FOLLOWER,
                        "password": self._passwords.password(FOLLOWER),
                    },
                },
                "pg_hba": [
                    "local all,replication all scram-sha-256",
                    f"host all,replication all {network} scram-sha-256",
                ],
                "parameters": {"unix_socket_directories": str(place)},
                # A standby that is copied anew does not wait minutes for a checkpoint.
                "basebackup": [{"checkpoint": "fast"}],
                "remove_data_directory_on_diverged_timelines": True,
            },
        }


PATRONI = Path(sys.executable).with_name("patroni")


def postgres_processes(folder: Path, name: str) -> list[psutil.Process]:
    """Return the processes of Postgres on a machine of the cluster; none where it is down."""
    try:
        lines = (data_folder(folder / name) / DATA / "postmaster.pid").read_text().split()
        process = psutil.Process(int(lines[0]))
        if process.name() != "postgres":  # another process has this id by now
            return []
        return [process, *process.children(recursive=True)]
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return []


def etcd_of(name: str) -> str:
    return f"{name} etcd"


def _is_well(member: Mapping[str, Any]) -> bool:
    return member.get("state") in ("running", "streaming")


def _is_out_of_reach() -> bool:
    """Return whether Patroni's user cannot enter the checkout or the folder of this Python, which
    may be in root's home. Like Postgres, Patroni refuses to run as root.
    """
    programs = (Path(sys.executable).absolute(), Path(sys.executable).resolve())
    return not all(is_reachable(each.parent) for each in programs)
