import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from deploy.local.processes import Children, StartFailed, recorded, stop_recorded

SLEEP = ["sleep", "60"]


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    started = Children(tmp_path, tied=False)
    yield started
    started.stop()


def start(children: Children, name: str, command: list[str], rank: int = 0) -> None:
    children.start(name, command, rank=rank, env=dict(os.environ))


def test_processes_are_stopped_by_who_did_not_start_them(children: Children) -> None:
    start(children, "server", SLEEP)
    [record] = recorded(children.folder)

    assert stop_recorded(children.folder) == ["server"]

    assert record.process() is None
    assert recorded(children.folder) == []


def test_processes_of_a_higher_rank_are_stopped_first(children: Children) -> None:
    start(children, "server", SLEEP, rank=1)
    start(children, "helper", SLEEP, rank=0)
    start(children, "service", SLEEP, rank=2)

    assert stop_recorded(children.folder) == ["service", "server", "helper"]


def test_another_process_with_the_same_id_is_left_alone(children: Children) -> None:
    start(children, "server", SLEEP)
    [record] = recorded(children.folder)
    earlier = replace(record, started=record.started - 60)

    earlier.stop()

    assert earlier.process() is None
    assert record.process() is not None


def test_process_that_does_not_listen_is_killed_with_what_it_started(children: Children) -> None:
    start(children, "deaf", ["sh", "-c", "trap '' TERM; sleep 60 & echo; wait; sleep 60"])
    children.wait_until("deaf", lambda: (children.folder / "logs/deaf.log").stat().st_size > 0)
    [record] = recorded(children.folder)
    process = record.process()
    assert process is not None
    [grandchild] = process.children()

    record.stop(patience=0.1)

    grandchild.wait(5)
    assert record.process() is None


def test_failed_start_shows_the_last_lines_of_the_log(children: Children) -> None:
    start(children, "broken", ["sh", "-c", "echo port taken; exit 3"])

    with pytest.raises(StartFailed, match=r"broken ended with code 3:\n    port taken"):
        children.wait_until("broken", lambda: False)


def test_start_that_takes_too_long_is_given_up(children: Children) -> None:
    start(children, "slow", SLEEP)

    with pytest.raises(StartFailed, match="slow is not ready after 0 s"):
        children.wait_until("slow", lambda: False, timeout=0)


def test_tied_processes_end_when_their_starter_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys, time; from deploy.local.processes import Children;"
        "Children(pathlib.Path(sys.argv[1]), tied=True)"
        ".start('server', ['sleep', '60'], rank=0, env=dict(os.environ));"
        "print('started', flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    with starter.stdout:
        starter.stdout.readline()
    [record] = recorded(tmp_path)
    server = psutil.Process(record.pid)

    starter.send_signal(signal.SIGKILL)
    starter.wait()

    server.wait(10)
    assert record.process() is None
