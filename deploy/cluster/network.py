"""The machines of the cluster are network namespaces, each with an address, on a separate switch. A
sleeping process holds each namespace open. A namespace needs no name and no file, and ends with the
last process in it.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from deploy.servers.held_names import hold
from deploy.servers.postgres import server_user
from deploy.servers.processes import Children, StartFailed, recorded

SWITCH = "switch"
NETWORKS = range(1, 255)
HOST = 1


class Network:
    """`number` is the third part of all addresses. The host itself has the first
    address, and reaches all others.
    """

    def __init__(self, children: Children, number: int, machines: Mapping[str, int]) -> None:
        self._children = children
        self._number = number
        self._machines = machines

    def address(self, machine: str) -> str:
        return _address(self._number, self._machines[machine])

    def start(self) -> None:
        """Make what is missing of the network. Raises StartFailed."""
        if not self._children.runs(SWITCH):
            self._sleep(SWITCH)
            self._join_host()
        for machine in self._machines:
            if not self._children.runs(f"machine {machine}"):
                self._sleep(f"machine {machine}")
                self._join(machine)

    def inside(
        self, machine: str, *, as_user: str | None = None, reads_all: bool = False
    ) -> list[str]:
        """Return the first words of a command that runs on that machine. `reads_all` lets the user
        read files whose modes forbid it, and nothing more.
        """
        enter = ["nsenter", f"--net=/proc/{self._pid(f'machine {machine}')}/ns/net"]
        if as_user is None:
            return enter
        drop = ["setpriv", f"--reuid={as_user}", f"--regid={as_user}", "--clear-groups"]
        if reads_all:
            drop += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        # When a process changes its user, the kernel no longer ends it with its parent.
        return [*enter, *drop, *(["--pdeathsig=TERM"] if self._children.tied else []), "--"]

    def cut_off(self, machine: str) -> None:
        """Drop all packets to and from the machine; connections stay open and silent."""
        self._set(machine, "down")

    def join_again(self, machine: str) -> None:
        self._set(machine, "up")

    def _set(self, machine: str, how: str) -> None:
        _run(*self._in(SWITCH), "ip", "link", "set", _port(machine), how)

    def _sleep(self, name: str) -> None:
        self._children.start(
            name, ["unshare", "--net", "sleep", "infinity"], rank=-1, env=os.environ
        )
        # Wait until it is in a namespace of its own.
        mine = Path("/proc/self/ns/net").stat().st_ino

        def apart() -> bool:
            try:
                return Path(f"/proc/{self._pid(name)}/ns/net").stat().st_ino != mine
            except OSError:
                return False

        self._children.wait_until(name, apart, timeout=10)
        _run(*self._in(name), "ip", "link", "set", "lo", "up")

    def _join_host(self) -> None:
        ours = f"mercado{self._number}"
        inside = self._in(SWITCH)
        _run(*inside, "ip", "link", "add", "bridge", "type", "bridge")
        _run(*inside, "ip", "link", "set", "bridge", "up")
        peer = ["peer", "name", "host", "netns", str(self._pid(SWITCH))]
        _run("ip", "link", "add", ours, "type", "veth", *peer)
        _run(*inside, "ip", "link", "set", "host", "master", "bridge", "up")
        _run("ip", "address", "add", f"{_address(self._number, HOST)}/24", "dev", ours)
        _run("ip", "link", "set", ours, "up")

    def _join(self, machine: str) -> None:
        inside, name = self._in(SWITCH), f"machine {machine}"
        peer = ["peer", "name", "eth0", "netns", str(self._pid(name))]
        _run(*inside, "ip", "link", "add", _port(machine), "type", "veth", *peer)
        _run(*inside, "ip", "link", "set", _port(machine), "master", "bridge", "up")
        there = self._in(name)
        _run(*there, "ip", "address", "add", f"{self.address(machine)}/24", "dev", "eth0")
        _run(*there, "ip", "link", "set", "eth0", "up")

    def _in(self, name: str) -> list[str]:
        return ["nsenter", f"--net=/proc/{self._pid(name)}/ns/net"]

    def _pid(self, name: str) -> int:
        for record in recorded(self._children.folder):
            if record.name == name:
                return record.pid
        raise StartFailed(f"{name} does not run")


def free_network() -> int:
    """Return a number that no network of this machine has. Raises StartFailed."""
    taken = {each.address for found in psutil.net_if_addrs().values() for each in found}
    for number in NETWORKS:
        if _address(number, HOST) not in taken and (held := hold(f"network {number}")):
            with held:
                return number
    raise StartFailed("no free network between 10.213.1.0 and 10.213.254.0")


def check_rights() -> None:
    """Raise StartFailed where namespaces cannot be made."""
    if os.geteuid() != 0:
        raise StartFailed("the cluster's machines are network namespaces, which only root makes")
    for program in ("ip", "nsenter", "unshare", "setpriv"):
        if shutil.which(program) is None:
            raise StartFailed(f"{program} is missing: apt-get install iproute2 util-linux")
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    if tried.returncode:
        raise StartFailed("no network namespace can be made here: a container has to be privileged")
    server_user()


def _address(number: int, machine: int) -> str:
    return f"10.213.{number}.{machine}"


def _port(machine: str) -> str:
    return f"to-{machine}"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said: Sequence[str] = done.stderr.split()
        raise StartFailed(f"{' '.join(command)}: {' '.join(said)}")
