"""Child processes that are found again, and stopped, whatever becomes of who started them."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class StartFailed(Exception):
    """Something did not start. `str(error)` is for the person at the terminal."""


@dataclass(frozen=True)
class Record:
    """Names one process for good: a process id alone is given to another process some day.

    Those of a higher `rank` need those below, and are stopped before them.
    """

    name: str
    rank: int
    pid: int
    started: float
    stop_signal: int

    def process(self) -> psutil.Process | None:
        """The process if it still runs and is the one that was recorded."""
        try:
            process = psutil.Process(self.pid)
            ours = abs(process.create_time() - self.started) < 1.0
            return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def stop(self, patience: float = 30.0) -> None:
        """Ask it to end; after `patience` seconds end it and what it started."""
        process = self.process()
        if process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(self.stop_signal)
        self._wait(patience)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._wait(patience)

    def _wait(self, seconds: float) -> None:
        """Until it has ended, or so long. Not psutil's `wait`: that waits for zombies too, and some
        parents collect them late.
        """
        deadline = time.monotonic() + seconds
        while self.process() is not None and time.monotonic() < deadline:
            time.sleep(0.02)


class Children:
    """The processes started for one folder. Each is written down there as soon as it exists.

    `tied` ties them to this process: they end with it, also when it is killed.
    """

    def __init__(self, folder: Path, *, tied: bool) -> None:
        self.folder = folder
        self.tied = tied
        self._started: dict[str, subprocess.Popen[bytes]] = {}

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
        """Start `command` in a session of its own, with `logs/NAME.log` as its output."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with log_of(self.folder, name).open("wb") as log:
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
        self._started[name] = child
        started = psutil.Process(child.pid).create_time()
        record = Record(name, rank, child.pid, started, stop_signal)
        draft = _record_of(self.folder, name).with_suffix(".draft")
        draft.write_text(json.dumps(asdict(record)))
        draft.replace(_record_of(self.folder, name))

    def wait_until(self, name: str, ready: Callable[[], bool], timeout: float = 60.0) -> None:
        """Poll `ready`; raises StartFailed with the last log lines if the process ends first."""
        deadline = time.monotonic() + timeout
        while not ready():
            code = self._started[name].poll()
            if code is not None:
                raise StartFailed(
                    f"{name} ended with code {code}:\n{last_lines(self.folder, name)}"
                )
            if time.monotonic() > deadline:
                last = last_lines(self.folder, name)
                raise StartFailed(f"{name} is not ready after {timeout:.0f} s:\n{last}")
            time.sleep(0.05)

    def wait(self, name: str) -> None:
        """Until this one, told to end by whatever means, has ended."""
        self._started[name].wait()

    def stop(self) -> None:
        """Stop all of them."""
        stop_recorded(self.folder)
        for child in self._started.values():
            child.wait()
        self._started.clear()


def recorded(folder: Path) -> list[Record]:
    """What was started for this folder, whether it still runs or not, in the order of stopping."""
    files = (folder / "run").glob("*.json")
    records = [Record(**json.loads(file.read_text())) for file in files]
    return sorted(records, key=lambda record: (-record.rank, record.name))


def stop_recorded(folder: Path) -> list[str]:
    """Stop what was started for this folder, and answer the names of what still ran."""
    stopped = []
    for _, rank in groupby(recorded(folder), key=lambda record: record.rank):
        records = list(rank)
        stopped += [record.name for record in records if record.process()]
        with ThreadPoolExecutor(len(records)) as pool:
            list(pool.map(Record.stop, records))
        for record in records:
            _record_of(folder, record.name).unlink()
    return stopped


def log_of(folder: Path, name: str) -> Path:
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    return logs / f"{name}.log"


def last_lines(folder: Path, name: str, count: int = 15) -> str:
    """The end of a process's log, indented."""
    lines = log_of(folder, name).read_text(errors="replace").splitlines()[-count:]
    return "\n".join(f"    {line}" for line in lines)


def _record_of(folder: Path, name: str) -> Path:
    run = folder / "run"
    run.mkdir(exist_ok=True)
    return run / f"{name}.json"


def _group_of(user: str) -> int:
    import pwd  # not on every system this package is imported on

    return pwd.getpwnam(user).pw_gid


def _end_with_parent(stop_signal: signal.Signals) -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, stop_signal)
