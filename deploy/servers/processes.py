"""Child processes can be found and stopped after the process that started them has ended."""

import ctypes
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

import psutil

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
BOOT = Path("/proc/sys/kernel/random/boot_id")
LONGEST_LOG_BYTES = 16 * 1024 * 1024
"""A longer log is renamed to NAME.log.1 when its process starts."""


class StartFailed(Exception):
    """Something did not start. `str(error)` is for the person at the terminal."""


class StillRunning(Exception):
    """Something could not be stopped. `str(error)` is for the person at the terminal."""


@dataclass(frozen=True)
class Birth:
    """A process began at this time: in clock ticks after a boot of the machine. A step of the clock
    (NTP, a suspended machine) changes neither, and no other process of that id has the same value.
    """

    boot: str
    ticks: int

    @classmethod
    def of(cls, pid: int) -> "Birth | None":
        """Return None when there is no such process, or it has ended and waits to be collected."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return None
        state, *fields = stat.rpartition(b")")[2].split()  # the program's name may hold anything
        return None if state in b"ZX" else cls(BOOT.read_text().strip(), int(fields[18]))


@dataclass(frozen=True)
class Record:
    """A record identifies one process for good, because a process id is used again some day.

    Processes of a higher `rank` need those below, and are stopped before them. `log_from` is where
    its output begins in its log, in bytes.
    """

    name: str
    rank: int
    pid: int
    birth: Birth
    stop_signal: int
    log_from: int

    @classmethod
    def read(cls, file: Path) -> "Record":
        """Read a record. Raises StartFailed for a file with other content."""
        try:
            found = json.loads(file.read_text())
            if "started" in found:
                return cls._of_an_earlier_release(**found)
            return cls(**{**found, "birth": Birth(**found["birth"])})
        except (ValueError, TypeError, KeyError):
            raise StartFailed(
                f"{file} does not name a process: end {file.stem} if it runs, then delete the file"
            ) from None

    @classmethod
    def _of_an_earlier_release(
        cls, name: str, rank: int, pid: int, started: float, stop_signal: int
    ) -> "Record":
        """Read the time of day that an earlier release stored, so that processes that run during an
        update are found.
        """
        try:
            same = abs(psutil.Process(pid).create_time() - started) < 1.0
        except psutil.NoSuchProcess:
            same = False
        birth = (Birth.of(pid) if same else None) or Birth("", 0)
        return cls(name, rank, pid, birth, stop_signal, log_from=0)

    def process(self) -> psutil.Process | None:
        """Return the process, if it still runs and is the recorded one."""
        try:
            return psutil.Process(self.pid) if Birth.of(self.pid) == self.birth else None
        except psutil.NoSuchProcess:
            return None

    def stop(self, patience: float = 30.0) -> bool:
        """Ask the process to end; after `patience` seconds kill it and its children. Returns
        whether it ended.
        """
        if self.process() is None:
            return True
        try:
            os.kill(self.pid, self.stop_signal)
            self._wait(patience)
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        except PermissionError:  # it belongs to another user
            return self.process() is None
        self._wait(patience)
        return self.process() is None

    def _wait(self, seconds: float) -> None:
        """Wait until the process has ended, or the time is over. psutil's `wait` would wait for
        zombies too, and some parents collect them late.
        """
        deadline = time.monotonic() + seconds
        while self.process() is not None and time.monotonic() < deadline:
            time.sleep(0.02)


class Children:
    """These processes were started for one folder. Each is recorded there as soon as it exists.

    `tied` ties them to this process: they end with it, also when it is killed.
    """

    def __init__(self, folder: Path, *, tied: bool) -> None:
        self.folder = folder
        self.tied = tied
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._records = {
            record.name: record for record in recorded(folder) if record.process() is not None
        }

    def runs(self, name: str) -> bool:
        """Return whether the process runs now, started by this object or earlier."""
        record = self._records.get(name)
        return record is not None and record.process() is not None

    def running(self) -> set[str]:
        return {name for name in self._records if self.runs(name)}

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        rank: int,
        env: Mapping[str, str],
        cwd: Path | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Start `command` in a session of its own. Its output is added to `logs/NAME.log`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with _open_log(self.folder, name) as log:
            log_from = log.tell()
            child = subprocess.Popen(
                command,
                env=dict(env),
                cwd=cwd,
                user=user,
                group=user and _group_of(user),
                extra_groups=[] if user else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=(lambda: _end_with_parent(stop_signal)) if self.tied else None,
            )
        # It has not been collected, so its entry exists even if it has ended.
        birth = Birth.of(child.pid) or Birth("", 0)
        record = Record(name, rank, child.pid, birth, stop_signal, log_from)
        try:
            draft = _record_of(self.folder, name).with_suffix(".draft")
            draft.write_text(json.dumps(asdict(record)))
            draft.replace(_record_of(self.folder, name))
        except BaseException:  # nobody would find it again
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
        self._started[name], self._records[name] = child, record

    def wait_until(
        self, name: str, ready: Callable[[], bool], timeout: float = 60.0, port: int | None = None
    ) -> None:
        """Poll `ready`, and whether this process listens on `port`, because another process may
        answer there. Raises StartFailed with the last log lines if the process ends first.
        """
        deadline = time.monotonic() + timeout
        while not (ready() and (port is None or self._listens(name, port))):
            if ended := self.ended(name):
                raise StartFailed(ended)
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"{name} is not ready after {timeout:.0f} s:\n{self._last_lines(name)}"
                )
            time.sleep(0.05)

    def ended(self, *names: str) -> str | None:
        """Return the first ended one of all, or of these, with its last log lines, or None."""
        for name in names or tuple(self._records):
            if not self.runs(name):
                child = self._started.get(name)
                how = f" with code {child.wait()}" if child is not None else ""
                return f"{name} ended{how}:\n{self._last_lines(name)}"
        return None

    def _listens(self, name: str, port: int) -> bool:
        process = self._records[name].process()
        if process is None:
            return False
        try:
            sockets = process.net_connections("tcp")
        except psutil.Error:
            return False
        return any(
            each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in sockets
        )

    def _last_lines(self, name: str, count: int = 15) -> str:
        with log_of(self.folder, name).open("rb") as log:
            log.seek(self._records[name].log_from)
            lines = log.read().decode(errors="replace").splitlines()[-count:]
        return "\n".join(f"    {line}" for line in lines)

    def wait(self, name: str) -> None:
        """Wait until this process, which was told to end, has ended."""
        self._started[name].wait()

    def stop(self, names: Collection[str] | None = None) -> list[str]:
        """Stop the processes of these names, or all that this object started. Returns the names of
        those that still ran. Raises StillRunning.
        """
        chosen = list(self._started) if names is None else names
        stopped = stop_recorded(self.folder, chosen)
        for name in chosen:
            if name in self._started:
                self._started.pop(name).wait()
        return stopped


def recorded(folder: Path) -> list[Record]:
    """Return the processes started for this folder, running or not, in the order of stopping.

    Raises StartFailed for a record that cannot be read.
    """
    records = [Record.read(file) for file in (folder / "run").glob("*.json")]
    return sorted(records, key=lambda record: (-record.rank, record.name))


def stop_recorded(folder: Path, names: Container[str] | None = None) -> list[str]:
    """Stop the processes started for this folder, or those of `names`. Returns the names of those
    that still ran.

    Raises StillRunning at the end for what could not be stopped; its record stays.
    """
    stopped: list[str] = []
    left: list[Record] = []
    records = [record for record in recorded(folder) if names is None or record.name in names]
    for _, group in groupby(records, key=lambda record: record.rank):
        rank = list(group)
        stopped += [record.name for record in rank if record.process()]
        with ThreadPoolExecutor(len(rank)) as pool:
            ended = list(pool.map(Record.stop, rank))
        for record, has_ended in zip(rank, ended, strict=True):
            if has_ended:
                _record_of(folder, record.name).unlink(missing_ok=True)
            else:
                left.append(record)
    if left:
        still = ", ".join(f"{record.name} (process {record.pid})" for record in left)
        raise StillRunning(f"could not be stopped, and still runs: {still}")
    return stopped


def log_of(folder: Path, name: str) -> Path:
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    return logs / f"{name}.log"


def _open_log(folder: Path, name: str) -> BinaryIO:
    log = log_of(folder, name)
    if log.exists() and log.stat().st_size > LONGEST_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    opened = log.open("ab")
    opened.seek(0, os.SEEK_END)
    return opened


def _record_of(folder: Path, name: str) -> Path:
    run = folder / "run"
    run.mkdir(exist_ok=True)
    return run / f"{name}.json"


def _group_of(user: str) -> int:
    import pwd  # missing on some systems that import this package

    return pwd.getpwnam(user).pw_gid


def _end_with_parent(stop_signal: signal.Signals) -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, stop_signal)
