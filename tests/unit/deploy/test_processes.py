import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.local.private import wait_for_process
from deploy.servers import processes
from deploy.servers.processes import (
    Birth,
    Children,
    StartFailed,
    StillRunning,
    recorded,
    stop_recorded,
)

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
    earlier = replace(record, birth=replace(record.birth, ticks=record.birth.ticks - 60))

    earlier.stop()

    assert earlier.process() is None
    assert record.process() is not None


def test_processes_are_stopped_after_a_step_of_the_clock(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(children, "server", SLEEP)
    [record] = recorded(children.folder)
    server = psutil.Process(record.pid)
    booted = psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: booted + 5)

    assert stop_recorded(children.folder) == ["server"]

    assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE


def test_process_of_an_earlier_boot_is_not_taken_for_one_that_runs(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(children, "server", SLEEP)
    [record] = recorded(children.folder)
    rebooted = tmp_path / "boot_id"
    rebooted.write_text("another boot\n")

    with monkeypatch.context() as patch:
        patch.setattr(processes, "BOOT", rebooted)
        assert record.process() is None

    assert record.process() is not None


def test_a_process_that_could_not_be_stopped_is_named_and_not_forgotten(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(children, "server", SLEEP)
    start(children, "service", SLEEP, rank=2)
    [service, server] = recorded(children.folder)

    def refuse(pid: int, _signal: int) -> None:
        if pid == server.pid:
            raise PermissionError
        os.killpg(pid, signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", refuse)
        with pytest.raises(StillRunning, match=rf"still runs: server \(process {server.pid}\)$"):
            stop_recorded(children.folder)

    assert service.process() is None
    assert recorded(children.folder) == [server]
    assert stop_recorded(children.folder) == ["server"]


def test_record_that_cannot_be_read_is_named_in_one_line(children: Children) -> None:
    start(children, "server", SLEEP)
    [file] = (children.folder / "run").glob("*.json")
    good = file.read_text()
    file.write_text(good[:10])
    try:
        with pytest.raises(StartFailed, match=rf"^{file} does not name a process: end server if"):
            stop_recorded(children.folder)
        assert file.exists()
    finally:
        file.write_text(good)


def test_process_recorded_by_an_earlier_release_is_found_again(children: Children) -> None:
    start(children, "server", SLEEP)
    [record] = recorded(children.folder)
    [file] = (children.folder / "run").glob("*.json")
    found = json.loads(file.read_text())
    del found["birth"], found["log_from"]
    file.write_text(json.dumps({**found, "started": psutil.Process(record.pid).create_time()}))

    assert recorded(children.folder) == [record]

    file.write_text(json.dumps({**found, "started": 0.0}))
    assert [each.process() for each in recorded(children.folder)] == [None]
    file.unlink()
    os.killpg(record.pid, signal.SIGKILL)


def test_process_whose_record_cannot_be_written_does_not_stay(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    started: list[int] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self.pid)

    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", full)
        patch.setattr(subprocess, "Popen", Noted)
        with pytest.raises(OSError, match="No space left"):
            start(children, "server", SLEEP)

    assert children.running() == set()
    assert [Birth.of(pid) for pid in started] == [None]


def test_answer_of_another_program_on_the_port_is_not_taken_for_ours(children: Children) -> None:
    with HTTPServer(("127.0.0.1", 0), Ready) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        try:
            start(children, "orders", ["sh", "-c", "sleep 0.5; echo port in use; exit 2"])

            with pytest.raises(StartFailed, match=r"orders ended with code 2:\n    port in use"):
                wait_for_process(children, "orders", other.server_port)
        finally:
            other.shutdown()


class Ready(BaseHTTPRequestHandler):
    """`Ready` answers 200 to every request."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_process_that_is_started_again_adds_to_its_log(children: Children) -> None:
    for word in ("first", "second"):
        start(children, "server", ["sh", "-c", f"echo {word}; exit 1"])
        with pytest.raises(StartFailed, match=rf"server ended with code 1:\n    {word}$"):
            children.wait_until("server", lambda: False)

    assert (children.folder / "logs/server.log").read_text() == "first\nsecond\n"


def test_children_know_and_leave_alone_what_runs_already(children: Children) -> None:
    start(children, "server", SLEEP)

    later = Children(children.folder, tied=False)
    start(later, "service", SLEEP)
    assert later.running() == {"server", "service"}
    later.stop()

    assert children.running() == {"server"}


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
        "import os, pathlib, sys, time; from deploy.servers.processes import Children;"
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
