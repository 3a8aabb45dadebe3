"""A server gets a port of this machine's loopback: the usual one if it is free, else another."""

import os
import random
import socket
import weakref
from pathlib import Path

from dotenv import dotenv_values

from deploy.servers.held_names import hold
from deploy.servers.processes import StartFailed

# These are below the range from which the kernel numbers outgoing connections, so that no client
# takes a port in the seconds until the server binds it.
FREE = range(20_000, 32_000)


class Ports:
    """`Ports` hands out each port once on this machine: servers started together never get the same
    one. A port stays held as long as this object lives, which is until its server has bound it.
    """

    def __init__(self) -> None:
        self._held: dict[int, socket.socket] = {}
        weakref.finalize(self, _close_all, self._held)

    def pick(self, default: int | None = None) -> int:
        """Return `default` if it can be bound now, else a free port, or raise StartFailed."""
        if default is not None and self.take(default):
            return default
        for candidate in random.sample(FREE, k=len(FREE)):  # nosec B311  # no secret
            if self.take(candidate):
                return candidate
        raise StartFailed(f"no free port between {FREE.start} and {FREE.stop}")

    def pick_named(self, variable: str, default: int, folder: Path) -> int:
        """Return the port that this variable names, in the environment or else in `.env` of this
        folder; without one, that of `pick`. Raises StartFailed when it is not free.
        """
        named = os.environ.get(variable) or dotenv_values(folder / ".env").get(variable)
        if not named:
            return self.pick(default)
        if not (named.isascii() and named.isdigit() and 0 < int(named) < 65536):
            raise StartFailed(f"{variable} is {named!r}: a port is a number from 1 to 65535")
        if not self.take(int(named)):
            raise StartFailed(
                f"port {named} of {variable} is in use by another program: name another one, "
                "or none, and a free one is taken"
            )
        return int(named)

    def take(self, port: int) -> bool:
        """Hold exactly this port. Returns False when another process has it."""
        held = hold(f"port {port}")
        if held is None:
            return False
        if not can_bind(port):
            held.close()
            return False
        self._held[port] = held
        return True


def can_bind(port: int) -> bool:
    """Return whether a server could listen on this loopback port."""
    with socket.socket() as probe:
        # Servers do so too: connections closed a moment ago do not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _close_all(held: dict[int, socket.socket]) -> None:
    for each in held.values():
        each.close()
