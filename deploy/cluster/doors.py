"""The doors are proxies: HAProxy in front of the databases, nginx in front of the services."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from deploy.cluster.brokers import MANAGEMENT_PORT
from deploy.cluster.databases import PATRONI_PORT, PORT
from deploy.cluster.network import Network
from deploy.cluster.plan import BROKERS, DATABASES, DOORS, Replica
from deploy.servers.ports import can_bind
from deploy.servers.processes import Children

PRIMARY_PORT = 5000
HAPROXY = """
global
  maxconn 4000
defaults
  mode tcp
  timeout connect 3s
  timeout client 1h
  timeout server 1h
  timeout check 2s
  option clitcpka
  option srvtcpka
listen primary
  bind {address}:{port}
  option httpchk GET /primary
  http-check expect status 200
  default-server inter 1s fastinter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
"""
NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
worker_rlimit_nofile 4096;
events {{ worker_connections 2000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_http_version 1.1;
  proxy_buffering off;
  proxy_connect_timeout 2s;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
{servers}}}
"""
SERVER = """
  upstream {name} {{
{places}    keepalive 16;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://{name}; }}
  }}
"""


def door_addresses(network: Network) -> str:
    """Return the addresses of HAProxy, as a client's URL lists them."""
    return ",".join(f"{network.address(name)}:{PRIMARY_PORT}" for name in DOORS)


def start_haproxy(children: Children, network: Network, door: str) -> None:
    lines = [
        f"  server {name} {network.address(name)}:{PORT} check port {PATRONI_PORT}\n"
        for name in DATABASES
    ]
    text = HAPROXY.format(address=network.address(door), port=PRIMARY_PORT) + "".join(lines)
    configuration = children.folder.absolute() / f"{door}.cfg"
    configuration.write_text(text)
    command = [*network.inside(door), "haproxy", "-db", "-f", str(configuration)]
    children.start(door, command, rank=1, env={"PATH": os.environ.get("PATH", os.defpath)})


def start_nginx(
    children: Children,
    network: Network,
    fronts: Mapping[str, int],
    replicas: Mapping[Replica, int],
    management: int,
) -> None:
    """Start nginx. `fronts` are the ports of the services by name, `replicas` those of their
    processes, and `management` is that of the brokers' pages. Raises StartFailed.
    """
    folder = children.folder.absolute() / "nginx"
    folder.mkdir(exist_ok=True)
    places = {
        name: [
            f"127.0.0.1:{port}"
            for replica, port in replicas.items()
            if replica.service == name and replica.serves
        ]
        for name in fronts
    }
    servers = [_server(name, fronts[name], found) for name, found in places.items()]
    brokers = [f"{network.address(name)}:{MANAGEMENT_PORT}" for name in BROKERS]
    servers.append(_server("brokers", management, brokers))
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, servers="".join(servers)))
    program = shutil.which("nginx") or str(Path("/usr/sbin/nginx"))
    command = [program, "-c", str(configuration), "-e", "stderr"]
    children.start("nginx", command, rank=3, env={}, cwd=folder)
    first = next(iter(fronts.values()))
    children.wait_until("nginx", lambda: not can_bind(first), timeout=10)


def _server(name: str, port: int, places: list[str]) -> str:
    listed = "".join(f"    server {place} max_fails=1 fail_timeout=2s;\n" for place in places)
    return SERVER.format(name=name, port=port, places=listed)
