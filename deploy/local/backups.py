"""These commands back up and restore this folder's system, from the terminal."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from deploy.backup import job
from deploy.backup.checking import restore_aside
from deploy.backup.cluster import Server, Tell
from deploy.backup.copies import Copies, wanted
from deploy.backup.failure import BackupFailed
from deploy.backup.restoring import place_of, put_back
from deploy.backup.sets import Folder
from deploy.checker.invariants import check
from deploy.checker.report import Report
from deploy.checker.verify import UNREACHABLE, databases, record, show_report
from deploy.commands import CommandRefused, command
from deploy.installation import ADMINISTRATOR, BACKUP, CHOREOGRAPHY, ROOT, Installation
from deploy.local import lifecycle
from deploy.local.engine import Runtime, choose_runtime
from deploy.local.state import FOLDER, NotUp
from libs.messaging.saga.choreography import read

ONLY_PROCESSES = (
    "this system has containers: `backup`, of the profile `backups`, makes its backups, and "
    "`docker compose run restore` brings them back (see docs/operations.md)"
)
SETTLES_SECONDS = 120.0
LOOK_AGAIN_SECONDS = 2.0


def backups() -> Folder:
    """Return BACKUP_FOLDER, else `backups` in the checkout; `clean` deletes neither."""
    return Folder(Path(os.environ.get("BACKUP_FOLDER") or ROOT / "backups").absolute())


def back_up() -> None:
    """Make a backup of the system. Raises BackupFailed or NotUp."""
    system = lifecycle.find(FOLDER)
    if system.state.runtime is Runtime.CONTAINERS:
        raise NotUp(ONLY_PROCESSES)
    installation, folder = system.installation, backups()
    server = Server(installation.database_url("postgres", BACKUP))
    source = job.Source(server, installation.ledger, system.state.passwords_file(FOLDER))
    with _progress("copying the databases") as progress:
        made = job.run(folder, source, _say, progress)
    _record(installation, made.name)
    own = folder.path / "identity.txt"
    kept = [str(folder.path / "keys"), *([str(own)] if own.exists() else [])]
    _say(f"keep a copy of {' and '.join(kept)} elsewhere: without them no backup can be read")


def _record(installation: Installation, name: str, *options: str) -> None:
    """Record the backup among the portal's audits, from which its age becomes a metric."""
    try:
        asyncio.run(command(installation, "portal", "record-backup", name, *options))
    except CommandRefused as error:
        reason = str(error).removeprefix("error: ")
        raise NotUp(f"backup {name} is good, but no audit says so: {reason}") from None


def list_all() -> None:
    """Print a line for each backup, here and in the store. Raises BackupFailed."""
    here, copies = backups().names(), Copies.named()
    there = copies.names() if copies else []
    for name in sorted({*here, *there}):
        where = [*(["here"] if name in here else []), *(["in the store"] if name in there else [])]
        print(f"{name}  {', '.join(where)}")
    if not here and not there:
        print("there are no backups")


def check_newest(name: str | None) -> bool:
    """Restore the newest backup into a place of its own, which is then deleted. Returns whether all
    invariants hold. Raises BackupFailed where it cannot be restored.
    """
    folder, console = backups(), Console(soft_wrap=True)
    with folder.exclusive():
        found = wanted(folder, name, _say)
        started = time.monotonic()
        with console.status("") as status:
            checked = restore_aside(folder, found, place_of(FOLDER), status.update)
    show_report(checked.report, console)
    console.print(f"  {checked.erasures}", highlight=False)
    took = time.monotonic() - started
    console.print(f"  backup {found.name} was restored in {took:.1f} s", style="dim")
    if (system := _running_here()) is not None:
        failed = [] if checked.report.hold else ["--failed"]
        _record(system.installation, found.name, "--checked", *failed)
    return checked.report.hold


def _running_here() -> lifecycle.System | None:
    """Return the running system; None where a machine only checks backups."""
    try:
        system = lifecycle.find(FOLDER)
    except NotUp:
        return None
    return system if system.state.runtime is Runtime.LOCAL and system.running else None


def restore(name: str | None, until: datetime | None) -> bool:
    """Put a backup back, start the system on it, and check the invariants until they hold. Returns
    whether they do. Raises BackupFailed or NotUp.
    """
    folder = backups()
    if choose_runtime().runtime is Runtime.CONTAINERS:
        raise NotUp(ONLY_PROCESSES)
    for system in lifecycle.systems(FOLDER):
        if system.running:
            raise NotUp(f"{system.running[0]} runs: ./taskw down first")
    with folder.exclusive():
        found = wanted(folder, name, _say)
        _say(f"restoring backup {found.name} of {found.started_at.isoformat(timespec='seconds')}")
        before = put_back(
            folder, found, place_of(FOLDER), until=_log(until), tell=lambda line: _say(f"  {line}")
        )
    if before is not None:
        _say(f"what was there before: {before} (delete it when all is well)")
    started = lifecycle.start(FOLDER)
    return settled(started.installation)


def _log(until: datetime | None) -> tuple[datetime, Path] | None:
    if until is None:
        return None
    log = job.log_folder()
    if log is None:
        raise BackupFailed("--at needs BACKUP_LOG, the folder of the archived write-ahead log")
    return until, log


def settled(installation: Installation) -> bool:
    """Show the invariants once they hold, or after two minutes. Returns whether they hold."""
    console = Console(soft_wrap=True)
    with console.status("waiting until everything has come to rest") as status:
        report = asyncio.run(_report_at_rest(installation))
        status.update("")
    show_report(report, console)
    return report.hold


async def _report_at_rest(installation: Installation) -> Report:
    until = time.monotonic() + SETTLES_SECONDS
    while True:
        try:
            report = await check(
                databases(installation),
                read(CHOREOGRAPHY).participants,
                rabbitmq_url=installation.broker_url(ADMINISTRATOR),
            )
        except UNREACHABLE as error:
            raise BackupFailed(f"cannot verify: {' '.join(str(error).split())}") from None
        if (report.hold and not report.passed_over) or time.monotonic() > until:
            await record(report, installation)
            return report
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


@contextmanager
def _progress(what: str) -> Iterator[Tell]:
    """Show a bar at a terminal, and nothing in a pipe."""
    console = Console()
    bar = Progress(
        TextColumn(what), BarColumn(), DownloadColumn(), console=console, transient=True,
        disable=not console.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task(what)
        yield lambda done, about: bar.update(task, completed=done, total=max(done, about))


def _say(line: str) -> None:
    print(line, flush=True)
