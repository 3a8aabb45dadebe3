"""One process of this machine holds a name at a time, until it releases the name or ends.

A name is an abstract Unix socket: the kernel releases it however the process ends, it needs no
file, and each network namespace has its own, as with ports.
"""

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

PREFIX = "\0mercado-veiculo "


def hold(name: str) -> socket.socket | None:
    """Hold the name until the socket is closed. Returns None when another process holds it."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        held.bind(PREFIX + name)
    except OSError as error:
        held.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return held


@contextmanager
def holding(name: str) -> Iterator[None]:
    """Wait until nobody else holds the name, and hold it during the block."""
    while (held := hold(name)) is None:
        time.sleep(0.1)
    with held:
        yield
