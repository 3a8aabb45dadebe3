"""Three RabbitMQ nodes are a cluster. They find each other by a list, and in a network partition
the smaller part pauses.
"""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx

from deploy.certificates import write_secret
from deploy.cluster.network import Network
from deploy.cluster.plan import BROKERS
from deploy.installation import ADMINISTRATOR
from deploy.passwords import Passwords
from deploy.servers.processes import Children
from deploy.servers.rabbitmq import PLUGINS, TWELVE_HOURS_MS, installed_rabbitmq, node_environment

PORT, MANAGEMENT_PORT = 5672, 15672
EPMD_PORT, DISTRIBUTION_PORT = 4369, 25672
ONE_SCHEDULER = "+S 1:1 +A 8 +sbwt none +sbwtdcpu none +sbwtdio none"
PATIENCE = 300.0
"""Three nodes start and find each other within this many seconds, on a busy machine."""

TICK_SECONDS = 10
"""A node that is silent for this long, and a quarter more, counts as gone."""


class Brokers:
    def __init__(self, children: Children, network: Network, passwords: Passwords) -> None:
        self._children = children
        self._network = network
        self._secret = passwords.password(f"rabbitmq {ADMINISTRATOR}")
        self._cookie = passwords.password("rabbitmq cluster")

    @property
    def addresses(self) -> str:
        """Return the addresses of the nodes, as a client's URL lists them."""
        return ",".join(f"{self._network.address(name)}:{PORT}" for name in BROKERS)

    def start_all(self) -> None:
        """Start all nodes and wait until they are one cluster. New nodes start one after the other,
        because two at once may each wait for the other one's tables. Nodes with data may wait for
        each other. Raises StartFailed.
        """
        are_new = not self._home(BROKERS[0]).exists()
        for name in BROKERS:
            self.start(name)
            if are_new:
                self._wait(name, partial(self._runs, name))
        for name in BROKERS:
            self._wait(name, lambda: len(self.running()) == len(BROKERS))

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        self._children.wait_until(name, ready, PATIENCE)

    def start(self, name: str) -> None:
        """Start the processes of this node that do not run. Its data is in `FOLDER/NAME`."""
        home = self._home(name)
        home.mkdir(mode=0o700, exist_ok=True)
        write_secret(home / ".erlang.cookie", self._cookie.encode())
        env = self._environment(name)
        enter = self._network.inside(name)
        if not self._children.runs(f"{name} epmd"):
            epmd = [*enter, "epmd", "-port", str(EPMD_PORT)]
            self._children.start(f"{name} epmd", epmd, rank=0, env=env, cwd=home)
        if not self._children.runs(name):
            write_secret(home / "rabbitmq.conf", self._configuration(name).encode())
            shutil.copy(PLUGINS, home / "enabled_plugins")
            command: list[str | Path] = [*enter, installed_rabbitmq()]
            self._children.start(name, command, rank=1, env=env, cwd=home)

    def running(self) -> list[str]:
        """Return the running nodes, as the first one that answers says."""
        for name in BROKERS:
            place = f"http://{self._network.address(name)}:{MANAGEMENT_PORT}"
            try:
                answer = httpx.get(
                    f"{place}/api/nodes",
                    auth=(ADMINISTRATOR, self._secret),
                    timeout=2,
                    trust_env=False,
                ).raise_for_status()
            except httpx.HTTPError:
                continue
            found = {row["name"] for row in answer.json() if row["running"]}
            return [each for each in BROKERS if self._node(each) in found]
        return []

    def _runs(self, name: str) -> bool:
        return name in self.running()

    def leaders(self, vhost: str) -> dict[str, str]:
        """Return the machine that leads each queue of a vhost. Raises httpx.HTTPError."""
        place = f"http://{self._network.address(self.running()[0])}:{MANAGEMENT_PORT}"
        answer = httpx.get(
            f"{place}/api/queues/{vhost}",
            auth=(ADMINISTRATOR, self._secret),
            timeout=60,
            trust_env=False,
        ).raise_for_status()
        by_node = {self._node(name): name for name in BROKERS}
        return {row["name"]: by_node[row["leader"]] for row in answer.json() if "leader" in row}

    def _home(self, name: str) -> Path:
        return self._children.folder.absolute() / name

    def _node(self, name: str) -> str:
        return f"mercado@{self._network.address(name)}"

    def _configuration(self, name: str) -> str:
        settings: dict[str, object] = {
            "listeners.tcp.default": f"{self._network.address(name)}:{PORT}",
            "management.tcp.ip": self._network.address(name),
            "management.tcp.port": MANAGEMENT_PORT,
            "prometheus.tcp.ip": self._network.address(name),
            "consumer_timeout": TWELVE_HOURS_MS,
            "default_user": ADMINISTRATOR,
            "default_pass": self._secret,
            "cluster_formation.peer_discovery_backend": "classic_config",
            **{
                f"cluster_formation.classic_config.nodes.{number}": self._node(each)
                for number, each in enumerate(BROKERS, 1)
            },
            "cluster_partition_handling": "pause_minority",
            "queue_leader_locator": "balanced",
        }
        return "".join(f"{key} = {value}\n" for key, value in settings.items())

    def _environment(self, name: str) -> dict[str, str]:
        erlang = f"-start_epmd false {ONE_SCHEDULER} -kernel net_ticktime {TICK_SECONDS}"
        return node_environment(self._home(name), EPMD_PORT, DISTRIBUTION_PORT) | {
            "ERL_EPMD_ADDRESS": self._network.address(name),
            "RABBITMQ_NODENAME": self._node(name),
            "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": erlang,
            "RABBITMQ_CTL_ERL_ARGS": "",
        }
