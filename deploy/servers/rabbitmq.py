"""A private RabbitMQ node runs the machine's `rabbitmq-server` package.

It shares nothing with the system's broker: it has its own folder, node name, ports and epmd
(Erlang's name server, which would otherwise stay as a daemon).
"""

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.certificates import LOOPBACK, Authority, write_secret
from deploy.rabbitmq.tls import tls_settings
from deploy.servers.packages import install_without_starting
from deploy.servers.ports import Ports
from deploy.servers.processes import Children, StartFailed

# Debian's wrapper on PATH demands the system's user and folders; this is the program itself.
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
PLUGINS = Path(__file__).parents[1] / "rabbitmq" / "enabled_plugins"
NO_BUSY_WAITING = "+sbwt none +sbwtdcpu none +sbwtdio none"
# Erlang nodes connect to each other over a port, which otherwise listens on all addresses.
ON_LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1}"
CERTIFICATE = "server.pem"
TWELVE_HOURS_MS = 12 * 60 * 60 * 1000


@dataclass(frozen=True)
class Broker:
    """`authority` signs the broker's certificate: it then accepts only TLS on both ports."""

    port: int
    management_port: int
    user: str
    password: str
    authority: Authority | None = None

    @property
    def url(self) -> str:
        place = f"{self.user}:{self.password}@127.0.0.1:{self.port}/"
        return f"amqp://{place}" if self.authority is None else f"amqps://{place}{self._trust}"

    @property
    def management_url(self) -> str:
        place = f"{self.user}:{self.password}@127.0.0.1:{self.management_port}"
        return f"http://{place}" if self.authority is None else f"https://{place}{self._trust}"

    @property
    def _trust(self) -> str:
        return f"?{self.authority.broker_parameters}" if self.authority else ""


def installed_rabbitmq() -> Path:
    """Return the machine's program. It is installed when it is missing and this process is root on
    Debian. Raises StartFailed, which says what to install.
    """
    found = SERVER if SERVER.exists() else shutil.which("rabbitmq-server")
    if found is None:
        install_without_starting("rabbitmq-server")
    return Path(found or SERVER)


def start_rabbitmq(children: Children, ports: Ports, broker: Broker, *, durable: bool) -> None:
    """Start a node with its data in `FOLDER/rabbitmq`; `broker.user` is its administrator. A node
    or name server that already runs goes on.

    The first start creates the user; there never is a `guest`. A node that need not be `durable` is
    killed at the end, because an orderly stop takes six seconds.
    """
    program = installed_rabbitmq()
    home = children.folder.absolute() / "rabbitmq"
    home.mkdir(mode=0o700, exist_ok=True)
    epmd, distribution, prometheus = _own_ports(children, ports, home)
    env = node_environment(home, epmd, distribution)
    if not children.runs("epmd"):
        command = ["epmd", "-port", str(epmd), "-address", "127.0.0.1"]
        children.start("epmd", command, rank=0, env=env, cwd=home)
    if not children.runs("rabbitmq"):
        certificate = home / CERTIFICATE
        if broker.authority and not broker.authority.still_good(certificate, LOOPBACK):
            write_secret(certificate, broker.authority.issue("rabbitmq", LOOPBACK))
        settings = _configuration(broker, prometheus, certificate)
        write_secret(home / "rabbitmq.conf", settings.encode())
        shutil.copy(PLUGINS, home / "enabled_plugins")
        stop_signal = signal.SIGTERM if durable else signal.SIGKILL
        children.start("rabbitmq", [program], rank=1, env=env, cwd=home, stop_signal=stop_signal)


def wait_for_rabbitmq(children: Children, broker: Broker) -> None:
    """Wait until the node serves its clients, which takes some seconds."""
    children.wait_until("rabbitmq", lambda: _listens(broker), timeout=120, port=broker.port)


def renew_certificate(folder: Path, authority: Authority) -> None:
    """Renew the certificate of the running node with its data in `FOLDER/rabbitmq`: new connections
    see the new one, and existing connections go on. Raises StartFailed.
    """
    home = folder.absolute() / "rabbitmq"
    write_secret(home / CERTIFICATE, authority.issue("rabbitmq", LOOPBACK))
    control(folder, "eval", "ssl:clear_pem_cache().")


def control(folder: Path, *arguments: str) -> str:
    """Run `rabbitmqctl` on the node of this folder, which takes two seconds. Returns its output.
    Raises StartFailed where it fails.
    """
    home = folder.absolute() / "rabbitmq"
    epmd, distribution, _ = json.loads((home / "ports.json").read_text())
    done = subprocess.run(
        [installed_rabbitmq().with_name("rabbitmqctl"), *arguments],
        env=node_environment(home, epmd, distribution),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise StartFailed(f"rabbitmqctl {arguments[0]}: {' '.join(done.stderr.split())}")
    return done.stdout


def _own_ports(children: Children, ports: Ports, home: Path) -> Sequence[int]:
    """Return the ports of the name server, of the node's distribution and of its metrics. While one
    of the two processes runs, they do not change.
    """
    kept = home / "ports.json"
    if children.runs("epmd") or children.runs("rabbitmq"):
        found: list[int] = json.loads(kept.read_text())
        return found
    picked = [ports.pick() for _ in range(3)]
    kept.write_text(json.dumps(picked))
    return picked


def _configuration(broker: Broker, prometheus_port: int, certificate: Path) -> str:
    if broker.authority is None:
        listeners: dict[str, object] = {
            "listeners.tcp.default": f"127.0.0.1:{broker.port}",
            "management.tcp.ip": "127.0.0.1",
            "management.tcp.port": broker.management_port,
        }
    else:
        listeners = {
            "listeners.tcp": "none",
            "listeners.ssl.default": f"127.0.0.1:{broker.port}",
            "management.ssl.ip": "127.0.0.1",
            "management.ssl.port": broker.management_port,
            **tls_settings(str(certificate)),
        }
    settings = listeners | {
        "prometheus.tcp.ip": "127.0.0.1",
        "prometheus.tcp.port": prometheus_port,
        "consumer_timeout": TWELVE_HOURS_MS,
        "default_user": broker.user,
        "default_pass": broker.password,
    }
    return "".join(f"{key} = {value}\n" for key, value in settings.items())


def node_environment(home: Path, epmd_port: int, distribution_port: int) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "HOME": str(home),
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": "mercado@localhost",
        "RABBITMQ_DIST_PORT": str(distribution_port),
        "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(PLUGINS.with_name("advanced.config")),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_PID_FILE": str(home / "pid"),
        # Our epmd runs already. Idle schedulers must not spin, because that takes CPU time from the
        # services.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-start_epmd false {ON_LOOPBACK} {NO_BUSY_WAITING}",
        "RABBITMQ_CTL_ERL_ARGS": ON_LOOPBACK,
        # The script then becomes the server instead of waiting for it: one process to stop.
        "RUNNING_UNDER_SYSTEMD": "true",
    }


def _listens(broker: Broker) -> bool:
    """Return whether the node has started; the AMQP listener is the last part to start."""
    try:
        socket.create_connection(("127.0.0.1", broker.port), timeout=5).close()
    except OSError:
        return False
    return True
