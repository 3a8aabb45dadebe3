"""Ports of this machine's loopback: the usual one if nobody has it, else any free one."""

import random
import socket

# Below the range from which the kernel numbers outgoing connections: a port found here is not
# taken by a passing client in the seconds until the server binds it.
FREE = range(20_000, 32_000)


class Ports:
    """Hands out each port once, so that two servers started together never get the same one."""

    def __init__(self) -> None:
        self._given: set[int] = set()

    def pick(self, default: int | None = None) -> int:
        """`default` when it can be bound now, else a free port; raises RuntimeError if none is."""
        if default is not None and self._take(default):
            return default
        for candidate in random.sample(FREE, k=len(FREE)):  # nosec B311  # no secret
            if self._take(candidate):
                return candidate
        raise RuntimeError(f"no free port between {FREE.start} and {FREE.stop}")

    def _take(self, port: int) -> bool:
        if port in self._given or not can_bind(port):
            return False
        self._given.add(port)
        return True


def can_bind(port: int) -> bool:
    """Whether a server could listen on this loopback port."""
    with socket.socket() as probe:
        # As servers do: connections closed a moment ago do not keep the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
