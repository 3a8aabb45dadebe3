"""A checkout has several systems: this module finds, starts, stops and deletes them."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from deploy.auth import asked_auth, asked_tls, kept_auth
from deploy.installation import ROOT, Installation
from deploy.local import containers
from deploy.local import logs as log_files
from deploy.local.engine import Choice, Runtime, choose_runtime, wished_runtime
from deploy.local.state import (
    CONTAINER_PASSWORDS,
    DEMO,
    FOLDER,
    NotUp,
    State,
    forget_state,
    load_state,
    make,
)
from deploy.servers.postgres import data_folder
from deploy.servers.processes import StartFailed, StillRunning, recorded, stop_recorded


@dataclass(frozen=True)
class System:
    """`lost` are the names of parts that were started and no longer run. `ours` is true for a
    system that `./taskw` started, and false for one of `docker compose`.
    """

    folder: Path
    state: State
    running: Sequence[str]
    lost: Sequence[str]
    ours: bool = True

    @property
    def installation(self) -> Installation:
        return self.state.installation(self.folder)


def systems(folder: Path) -> Iterator[System]:
    """Yield the systems of a folder, private processes first. RUNTIME excludes the other kind."""
    if _wanted(Runtime.LOCAL) and (private := _private(folder)):
        yield private
    if _wanted(Runtime.CONTAINERS) and (contained := _contained(folder)):
        yield contained


def find(folder: Path) -> System:
    """Return the system of a folder; one with running parts comes before one without.

    Raises NotUp when there is none.
    """
    return _first(systems(folder))


def shown() -> System:
    """Return the system that commands show: that of `up`, or the demo's where only that one was
    left running. Raises NotUp when there is neither.
    """
    return _first(chain(systems(FOLDER), systems(DEMO)))


def _first(found: Iterator[System]) -> System:
    still = None
    for each in found:  # one at a time, because asking the Docker engine takes a while
        if each.running:
            return each
        still = still or each
    if still is None:
        raise nothing()
    return still


def nothing() -> NotUp:
    """Return an error that says why there is no system to show."""
    alive = [record.name for record in recorded(FOLDER) if record.process()]
    if not alive:
        return NotUp("nothing is up: start it with ./taskw up")
    left = ", ".join(alive)
    return NotUp(f"a start is at work or was ended: {left} (./taskw down stops them)")


def start(folder: Path, there: System | None = None) -> System:
    """Start all, or the missing parts of the system `there`. Raises StartFailed."""
    make(folder)
    if there is None or not there.running:
        left = stop_recorded(folder)
        if left:
            print(f"stopped what an earlier run had left: {', '.join(left)}")
    choice = choose_runtime() if there is None else _as_before(there)
    print(f"runtime {choice.runtime.value}: {choice.reason}", flush=True)
    if there and there.running and there.lost:
        print(f"starting what does not run any more: {', '.join(there.lost)}", flush=True)
    ours = there is None or there.ours
    if choice.runtime is Runtime.LOCAL:
        state = _start_private(folder, there.state if there else None)
    else:
        state = containers.start(folder, ours=ours)
    if ours:
        state.save(folder)
    if choice.runtime is Runtime.LOCAL and folder != DEMO:
        _start_checker(folder)
    return find(folder)


def _as_before(there: System) -> Choice:
    """Return the runtime of the existing data. Raises NotUp where it cannot be used now."""
    before = there.state.runtime
    if before is Runtime.CONTAINERS and (now := choose_runtime()).runtime is not before:
        raise NotUp(f"the last start used containers, and {now.reason}: RUNTIME=local needs none")
    return Choice(before, "as before")


def auth_differs(system: System) -> str | None:
    """Return the AUTH of a running system, where the requested one differs.

    Raises StartFailure for an invalid value.
    """
    asked = asked_auth(ROOT)
    if not asked or system.state.runtime is Runtime.CONTAINERS:
        return None
    kept = kept_auth(system.folder / "auth", "") or "off"
    return kept if kept != asked else None


def tls_differs(system: System) -> str | None:
    """Return the TLS of a running system, where the requested one differs. Containers always use
    TLS. Raises StartFailure for an invalid value.
    """
    asked = asked_tls(ROOT)
    if not asked or system.state.runtime is Runtime.CONTAINERS:
        return None
    required = asked == "required"
    return None if required == system.state.tls else ("remote" if required else "required")


def stop(folder: Path, runtime: Runtime | None = None) -> list[str]:
    """Stop all systems of a folder, or that of one runtime, and return the names of what ran; the
    data stays.

    Raises StillRunning for what could not be stopped, which stays on record.
    """
    stopped, trouble = list[str](), list[str]()
    try:
        if _wanted(Runtime.LOCAL) and runtime in (None, Runtime.LOCAL):
            stopped += stop_recorded(folder)
            forget_state(folder)
    except StillRunning as error:
        trouble.append(str(error))
    try:
        wanted = _wanted(Runtime.CONTAINERS) and runtime in (None, Runtime.CONTAINERS)
        if wanted and _contained(folder):
            stopped += containers.stop(folder)
            forget_state(folder, Runtime.CONTAINERS)
    except StillRunning as error:
        trouble.append(str(error))
    if trouble:
        raise StillRunning("; ".join(trouble))
    return stopped


def data_elsewhere(folder: Path) -> list[str]:
    """Return the names of what `delete` deletes outside of the folder itself."""
    shared = [each for each in _data_folders(folder) if not each.is_relative_to(folder)]
    return [
        *(f"folder {each}" for each in shared),
        *(containers.data(folder) if _uses_containers(folder) else []),
    ]


def delete(folder: Path, *, images: bool = True) -> None:
    """Delete data, passwords and logs of a folder in which nothing runs. Raises StartFailed."""
    if _uses_containers(folder):
        containers.delete_data(folder, images=images)
    for place in (*_data_folders(folder), folder):
        try:
            if place.exists():
                shutil.rmtree(place)
        except OSError as error:
            raise StartFailed(f"{place} was not deleted: {error}") from None


def _data_folders(folder: Path) -> list[Path]:
    """Return the folders of the private Postgres: its data, and what restores have put aside or not
    finished.
    """
    data = data_folder(folder)
    return [each for each in (data, *sorted(data.parent.glob(f"{data.name}.*"))) if each.is_dir()]


def is_all_up(system: System) -> bool:
    """Return whether nothing has to be started, and no container to be created again."""
    if not system.running or system.lost:
        return False
    may_be_renewed = system.ours and system.state.runtime is Runtime.CONTAINERS
    return not may_be_renewed or containers.is_current(system.folder)


def runs_old_code(system: System) -> bool:
    """Return whether a code file is newer than one of the private services that run."""
    records = [system.folder / "run" / f"{name}.json" for name in system.state.services]
    started = [record.stat().st_mtime for record in records if record.exists()]
    code = (file for name in ("libs", "services") for file in (ROOT / name).rglob("*.py"))
    return any(file.stat().st_mtime > min(started) for file in code if started and file.exists())


def show_logs(
    system: System | None, names: Sequence[str], *, follow: bool, this_run: bool = False
) -> None:
    """Show the logs; without a system, those from before it was stopped. `this_run` leaves out what
    was written before a process started. Raises ValueError for a name that has no log.
    """
    if system and system.state.runtime is Runtime.CONTAINERS:
        containers.show_logs(system.folder, names, follow=follow)
    else:
        folder = system.folder if system else FOLDER
        starts = {each.name: each.log_from for each in recorded(folder)} if this_run else {}
        log_files.show(folder, names, follow=follow, starts=starts)


def _wanted(runtime: Runtime) -> bool:
    return wished_runtime() in (None, runtime)


def _private(folder: Path) -> System | None:
    try:
        state = load_state(folder)
    except NotUp:
        return None
    records = recorded(folder)
    running = [record.name for record in records if record.process()]
    lost = [record.name for record in records if record.name not in running]
    return System(folder, state, running, lost if records else ["all of it"])


def _contained(folder: Path) -> System | None:
    try:
        started: State | None = load_state(folder, Runtime.CONTAINERS)
    except NotUp:
        started = None
    there = containers.find(folder)
    ours = started is not None
    if there.containers:
        containers.copy_passwords(folder, there)
        return System(folder, there.state, there.running, there.lost, ours)
    return System(folder, started, [], ["all of it"]) if started else None


def _uses_containers(folder: Path) -> bool:
    """Return whether the folder uses containers, also those that a failed start has left."""
    kept = (folder / CONTAINER_PASSWORDS).exists()
    return kept or choose_runtime().runtime is Runtime.CONTAINERS


def _start_checker(folder: Path) -> None:
    from deploy.local import private  # only this needs it; it takes seconds

    private.start_checker(folder)


def _start_private(folder: Path, earlier: State | None) -> State:
    from deploy.local import private  # only this needs it; it takes seconds

    try:
        return private.start(folder, earlier)
    except private.EXPECTED as error:
        raise StartFailed(str(error)) from None
