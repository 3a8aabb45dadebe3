"""Simulates hosts and the connections between them. Bytes arrive late but in order, or never."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.simulation.interleavings.loop import HERE, SeededLoop

FAST, SLOW = (0.0002, 0.003), (0.01, 0.06)
"""Seconds that something takes on its way: usually, and sometimes."""


class Line:
    """A `Line` is one connection in both directions. `cut` loses what is under way, and a moment
    later calls each of `lost`.
    """

    def __init__(self, loop: SeededLoop) -> None:
        self.is_cut = False
        self.lost: list[Callable[[], None]] = []
        self._loop = loop
        self._last = {True: 0.0, False: 0.0}

    def send(self, deliver: Callable[..., None], *args: Any, to_server: bool) -> None:
        """Call `deliver(*args)` after everything that was sent in this direction before."""
        seconds = self._loop.random.uniform(*(FAST if self._loop.random.random() < 0.95 else SLOW))
        when = max(self._loop.time() + seconds, self._last[to_server] + 1e-6)
        self._last[to_server] = when
        self._loop.call_at(when, self._arrive, deliver, args)

    def cut(self) -> None:
        if self.is_cut:
            return
        self.is_cut = True
        for lost in self.lost:
            self._loop.call_later(self._loop.random.uniform(*FAST), lost)

    def _arrive(self, deliver: Callable[..., None], args: tuple[Any, ...]) -> None:
        if not self.is_cut:
            deliver(*args)


class Host:
    """A `Host` is a process as the others see it. Nothing that a dead process sends arrives."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.lines: list[Line] = []

    def line(self, loop: SeededLoop) -> Line:
        line = Line(loop)
        self.lines = [each for each in self.lines if not each.is_cut] + [line]
        if self.is_dead:
            line.is_cut = True
        return line

    def cut(self) -> None:
        for line in self.lines:
            line.cut()


class End(asyncio.Transport):
    """An `End` is one end of a stream, with the protocol that reads there."""

    peer: "End"

    def __init__(self, loop: SeededLoop, line: Line, *, is_client: bool) -> None:
        super().__init__()
        self.protocol: Any = None
        self._loop = loop
        self.line = line
        self._is_client = is_client
        self._closing = False
        line.lost.append(self._lost)

    def write(self, data: Any) -> None:
        if not self._closing:
            self.line.send(self.peer._arrives, bytes(data), to_server=self._is_client)

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.line.send(self.peer._ended, to_server=self._is_client)
            self._loop.call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        return False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol  # type: ignore[no-any-return]

    def pause_reading(self) -> None:
        """Do nothing: a message is far smaller than what a reader takes at once."""

    def resume_reading(self) -> None: ...

    def _arrives(self, data: bytes) -> None:
        if not self._closing:
            self.protocol.data_received(data)

    def _ended(self) -> None:
        if not self._closing:
            self.protocol.eof_received()
            self.close()

    def _lost(self) -> None:
        if not self._closing:
            self._closing = True
            self.protocol.connection_lost(ConnectionResetError("the line is cut"))


class Network:
    """A `Network` has one server, whose protocol `accept` makes. It refuses connections while
    `is_away`.
    """

    def __init__(self, loop: SeededLoop, accept: Callable[[], Any]) -> None:
        self.is_away = False
        self._loop = loop
        self._accept = accept

    async def connect(self, protocol_factory: Callable[[], Any]) -> tuple[End, Any]:
        await asyncio.sleep(self._loop.random.uniform(*FAST))
        host = HERE.get()
        if self.is_away or host.is_dead:
            raise ConnectionRefusedError("nobody listens")
        line = host.line(self._loop)
        here, there = End(self._loop, line, is_client=True), End(self._loop, line, is_client=False)
        here.peer, there.peer = there, here
        here.protocol, there.protocol = protocol_factory(), self._accept()
        there.protocol.connection_made(there)
        here.protocol.connection_made(here)
        return here, here.protocol
