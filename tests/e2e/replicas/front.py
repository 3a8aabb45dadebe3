"""Runs an nginx before several processes of each service, and reads how it answered requests."""

import os
import re
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.servers.ports import can_bind
from deploy.servers.processes import Children, recorded
from tests.fixtures.nginx import nginx_program

# Each request has its own connection, so that none is sent into one that is being closed.
CONFIGURATION = """
daemon off;
worker_processes 1;
worker_shutdown_timeout 20s;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 2000; }}
http {{
  log_format answers "$status $upstream_addr $request_method $uri";
  access_log {folder}/answers.log answers;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_timeout 0;
  proxy_http_version 1.1;
  proxy_connect_timeout 5s;
  proxy_set_header Connection close;
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
{servers}}}
"""
SERVER = """
  upstream {name} {{
{places}  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://{name}; }}
  }}
"""
ANSWER = re.compile(r"(?P<status>\d{3}) (?P<places>.*) (?P<asked>[A-Z]+ /.*)")
NAME = "nginx"
TURNS_WITHIN = 30.0


@dataclass(frozen=True)
class Answer:
    """An `Answer` has the `port` of the process that was asked last, or 0 where none was."""

    status: int
    port: int
    asked: str


class Front:
    """A `Front` listens on `ports`, by service."""

    def __init__(self, children: Children, ports: Mapping[str, int]) -> None:
        self._children = children
        self._ports = ports
        self._folder: Path = children.folder.absolute() / NAME

    def start(self, places: Mapping[str, Iterable[int]]) -> None:
        """Route each service's requests to the processes on these ports, in turns."""
        self._folder.mkdir()
        self._write(places)
        command: list[str | Path] = [
            nginx_program(),
            "-c",
            self._folder / "nginx.conf",
            "-e",
            "stderr",
        ]
        self._children.start(NAME, command, rank=3, env={}, cwd=self._folder)
        first = next(iter(self._ports.values()))
        self._children.wait_until(NAME, lambda: not can_bind(first), timeout=10)

    def lead(self, places: Mapping[str, Iterable[int]]) -> None:
        """Route to these from now on. Returns when all requests routed elsewhere are answered."""
        self._write(places)
        master, before = self._processes()
        os.kill(master.pid, signal.SIGHUP)
        deadline = time.monotonic() + TURNS_WITHIN
        while not self._has_turned(before):
            assert time.monotonic() < deadline, "nginx does not take its new configuration"
            time.sleep(0.02)

    def answers(self) -> list[Answer]:
        """Return the answers to all requests until now."""
        found = []
        for line in (self._folder / "answers.log").read_text().splitlines():
            match = ANSWER.fullmatch(line)
            assert match is not None, line
            port = match["places"].rpartition(":")[2]
            asked = int(port) if port.isdigit() else 0
            found.append(Answer(int(match["status"]), asked, match["asked"]))
        return found

    def _write(self, places: Mapping[str, Iterable[int]]) -> None:
        servers = "".join(
            SERVER.format(name=name, port=port, places="".join(map(_place, places[name])))
            for name, port in self._ports.items()
        )
        text = CONFIGURATION.format(folder=self._folder, servers=servers)
        (self._folder / "nginx.conf").write_text(text)

    def _processes(self) -> tuple[psutil.Process, set[int]]:
        """Return nginx's process that reads the configuration, and those that pass requests on."""
        records = [each for each in recorded(self._children.folder) if each.name == NAME]
        master = records[0].process()
        assert master is not None, "nginx has ended"
        return master, {each.pid for each in master.children()}

    def _has_turned(self, before: set[int]) -> bool:
        _, now = self._processes()
        return bool(now) and not now & before


def _place(port: int) -> str:
    return f"    server 127.0.0.1:{port} max_fails=0;\n"
