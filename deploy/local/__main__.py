"""python -m deploy.local COMMAND runs the whole system on this machine."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from deploy.backup.failure import BackupFailed
from deploy.installation import ADMINISTRATOR, CHOREOGRAPHY, ROOT, Installation
from deploy.local import lifecycle
from deploy.local.lifecycle import System, shown
from deploy.local.state import DEMO, FOLDER, NotUp, exclusive
from deploy.servers.processes import StartFailed, StillRunning
from deploy.services import SERVICES, service_named
from libs.runtime.start_failure import StartFailure, one_line_errors

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
MOMENTS = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]
FORWARDED = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command()
def up(
    follow: Annotated[bool, typer.Option(help="Then show the logs; Ctrl-C stops all.")] = False,
) -> None:
    """Start Postgres, RabbitMQ and every service that does not run, and print their addresses."""
    with exclusive():
        system = _up()
    if not follow:
        return
    try:
        lifecycle.show_logs(system, [], follow=True, this_run=True)
    except KeyboardInterrupt:
        print()
        if system.ours:
            with exclusive():
                _say_stopped(lifecycle.stop(FOLDER, system.state.runtime))
        else:
            print("left running: docker compose started it, and stops it")


@app.command()
def down() -> None:
    """Stop everything, also a demo that was left running; the data stays."""
    with exclusive():
        stopped = lifecycle.stop(FOLDER)
    try:
        with exclusive(DEMO):
            stopped += [f"{name} of the demo" for name in lifecycle.stop(DEMO)]
    except NotUp:
        print("a demo is at work and ends by itself")
    _say_stopped(stopped)


@app.command()
def clean(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop everything and delete its data, its passwords and its logs, after a question."""
    with exclusive(), exclusive(DEMO):
        elsewhere = [each for folder in (FOLDER, DEMO) for each in lifecycle.data_elsewhere(folder)]
        doomed = (f"folder {FOLDER}", *elsewhere)
        print("This stops everything and deletes for good:", *doomed, sep="\n  ", flush=True)
        if not yes and not _confirmed("Delete it? [y/N] "):
            raise NotUp("nothing was deleted (--yes deletes without a question)")
        _say_stopped([*lifecycle.stop(DEMO), *lifecycle.stop(FOLDER)])
        lifecycle.delete(DEMO)
        lifecycle.delete(FOLDER)


@app.command()
def demo(
    keep: Annotated[bool, typer.Option(help="Leave the system running afterwards.")] = False,
) -> None:
    """Run seven scenarios through the HTTP entrypoints of a system of its own, and show what
    happened in each purchase.
    """
    from deploy.demo import demo as purchases  # only this needs it; it takes seconds

    console = Console(soft_wrap=True)
    well = False
    with exclusive(DEMO):
        if any(system.running for system in lifecycle.systems(DEMO)):
            raise NotUp("a demo was left running: ./taskw down stops it")
        lifecycle.stop(DEMO)  # what a killed demo has left
        lifecycle.delete(DEMO, images=False)
        os.environ.setdefault("CODE_LIFETIME_SECONDS", str(purchases.CODE_LIFETIME_SECONDS))
        os.environ["AUTH"] = "off"  # the purchases bring no tokens
        system = lifecycle.start(DEMO)
        try:
            _open_market(system)
            addresses = {name: system.state.service_url(name) for name in system.state.services}
            well = asyncio.run(purchases.play(addresses, system.installation, console))
            print()
            if keep:
                _print_addresses(system)
        finally:
            if not keep:
                _say_stopped(lifecycle.stop(DEMO))
        if well and not keep:
            lifecycle.delete(DEMO, images=False)
    if keep:
        print("left running: ./taskw down stops it")
    else:
        print("To look around: ./taskw demo --keep leaves it running, ./taskw up starts a new one.")
    if not well:
        sys.exit(f"error: not every purchase ended as it should, see above and {DEMO}/logs")


@app.command()
def verify(
    grace: Annotated[float, typer.Option(help="Seconds something may be on its way.")] = 5,
) -> None:
    """Check every invariant over all databases and queues; the result also stands in the portal."""
    from deploy.checker import verify as checker  # only this needs it; it takes seconds

    console = Console(soft_wrap=True)
    system = _shown()
    try:
        hold = asyncio.run(checker.verify(system.installation, console, grace_seconds=grace))
    except checker.UNREACHABLE as error:
        now = lifecycle.find(system.folder)
        why = _lost(now) if now.lost else " ".join(str(error).split()) or type(error).__name__
        raise NotUp(f"cannot verify: {why}") from None
    if not hold:
        sys.exit("error: not every invariant holds, see above")


@app.command()
def backup(
    list_: Annotated[bool, typer.Option("--list", help="Only say which there are.")] = False,
) -> None:
    """Back up all databases as they are at one moment, the erasure ledger and the keys; copy them
    to the store that BACKUP_S3_URL names; delete what is older than 30 days.
    """
    from deploy.backup.job import read_settings
    from deploy.local import backups  # only this needs it; it takes seconds

    read_settings(ROOT / ".env")
    if list_:
        backups.list_all()
    else:
        backups.back_up()


@app.command()
def restore(
    name: Annotated[str | None, typer.Argument(help="Of a backup; else the newest.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only aside: restore, check, throw away.")
    ] = False,
    at: Annotated[
        datetime | None,
        typer.Option(formats=MOMENTS, help="Go on to this moment, with the archived log."),
    ] = None,
) -> None:
    """Put a backup back, start the system on it, and check the invariants."""
    from deploy.backup.job import read_settings
    from deploy.local import backups  # only this needs it; it takes seconds

    if check and at:
        raise ValueError("--check restores a backup as it is: leave --at out")
    read_settings(ROOT / ".env")
    if check:
        well = backups.check_newest(name)
    else:
        with exclusive():
            well = backups.restore(name, at and at.astimezone())
    if not well:
        sys.exit("error: not every invariant holds, see above")


@app.command()
def status() -> None:
    """Say what runs, and where; exit 1 when something that was started does not run any more."""
    found = [each for folder in (FOLDER, DEMO) for each in lifecycle.systems(folder)]
    if not found:
        raise lifecycle.nothing()
    for system in found:
        if len(found) > 1:
            print(f"\n{system.state.runtime.value}, {system.folder}:")
        _print_addresses(system)
    if lost := [each for each in found if each.lost]:
        sys.exit("\n".join(map(_lost, lost)))


@app.command()
def logs(
    names: Annotated[list[str] | None, typer.Argument(help="All if left out.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they grow.")] = False,
) -> None:
    """Print the logs of services and servers."""
    try:
        system: System | None = _shown()
    except NotUp:
        system = None  # the logs of a stopped system are there
    with suppress(KeyboardInterrupt):  # Ctrl-C ends --follow
        lifecycle.show_logs(system, names or [], follow=follow)


@app.command()
def certificates() -> None:
    """Make the certificates of Postgres and RabbitMQ anew, while everything runs."""
    from deploy.local.renewal import renew  # only this needs it; it takes seconds

    for name, end in renew(_shown()).items():
        print(f"{name:12}good until {end:%Y-%m-%d}")


@app.command()
def rotate(
    what: Annotated[str, typer.Argument(help="database, broker, tokens or data.")],
) -> None:
    """Replace the passwords of the database or the broker, the key that signs tokens, or the keys
    that seal data, while everything runs.
    """
    from deploy.local.renewal import rotate  # only this needs it; it takes seconds

    system = _shown()
    with exclusive(system.folder):
        rotate(system, what)


@app.command(context_settings=FORWARDED)
def migrate(context: typer.Context, service: str) -> None:
    """Run Alembic for a service (migrate orders upgrade head), or for all that is pending: migrate
    plan [SERVICE...], migrate apply [SERVICE...] --approved-by NAME [--plan ID].
    """
    if service in ("plan", "apply"):
        from deploy.local.migrating import app as migrating  # only this command needs it

        with one_line_errors():
            migrating([service, *context.args], prog_name="migrate", obj=_shown().installation)
    environment = _shown().installation.migration(service_named(service).name)
    _become(["libs.runtime.migrations", service, *context.args], environment)


@app.command(context_settings=FORWARDED)
def dead(context: typer.Context) -> None:
    """List, redrive, reissue or discard dead letters, as the broker's administrator."""
    environment = _shown().installation.administration()
    _become(["libs.messaging", "dead", *context.args], environment)


@app.command(context_settings=FORWARDED)
def outbox(
    context: typer.Context, command: str, service: Annotated[str, typer.Argument()] = ""
) -> None:
    """Show or release a service's outbox: outbox status orders, outbox release orders ID."""
    if not service:  # outbox orders
        command, service = "status", command
    environment = _database(_shown().installation, service_named(service).name)
    _become(["libs.messaging", "outbox", command, *context.args], environment)


@app.command(context_settings=FORWARDED)
def topology(context: typer.Context) -> None:
    """Apply or check the topology, as the broker's administrator; `replay QUEUE` reads the archive
    of the service that publishes the queue's events, `replay SERVICE` sends all that its views
    lack.
    """
    installation = _shown().installation
    environment = installation.administration()
    if context.args[:1] == ["replay"] and (words := [w for w in context.args[1:] if w[:1] != "-"]):
        if context.args[1:] in [[spec.name] for spec in SERVICES]:
            _replay_to(installation, words[0])
            return
        queue = next((word for word in words if ".on." in word), words[0])
        environment |= _database(installation, _publisher(queue))
    _become(["libs.messaging", "topology", *context.args], environment)


def _replay_to(installation: Installation, service: str) -> None:
    from deploy.checker.missed_events import replay_missed  # only this command needs it
    from libs.messaging.dead_letters.replay_service import ReplayError

    try:
        sent = asyncio.run(replay_missed(installation, service, tell=print))
    except ReplayError as error:
        sys.exit(f"error: {error}")
    print(f"sent {sent} events that {service} had not handled")


def _publisher(queue: str) -> str:
    """Return the service that publishes the queue's events, or raise ValueError."""
    from libs.messaging.saga.choreography import read  # only this command needs it
    from libs.messaging.topology import topology_of

    wanted = topology_of(read(CHOREOGRAPHY).participants)
    found = [
        each.exchange
        for each in wanted.bindings
        if each.queue == queue and each.exchange in wanted.participants
    ]
    if not found:
        raise ValueError(f"no service publishes to {queue!r}: topology show lists the queues")
    return found[0]


def _database(installation: Installation, service: str) -> dict[str, str]:
    return {"DATABASE_URL": installation.database_url(service, f"{service}_app")}


@app.command()
def rebuild() -> None:
    """Make the read model of kpis anew from its facts, while it runs."""
    spec = service_named("kpis")
    environment = _shown().installation.settings(spec, "127.0.0.1", spec.port)
    _become(["services.kpis.rebuild"], environment)


def _become(module: list[str], environment: dict[str, str]) -> None:
    os.chdir(ROOT)
    command = [sys.executable, "-m", *module]
    os.execve(sys.executable, command, {**os.environ, **environment})  # noqa: S606


def _shown() -> System:
    """Return the system that commands show, or raise NotUp."""
    system = shown()
    if system.folder == DEMO:
        print("this is the demo that was left running", file=sys.stderr)
    return system


def _up() -> System:
    try:
        there: System | None = lifecycle.find(FOLDER)
    except NotUp:
        there = None
    if there and there.running and (auth := lifecycle.auth_differs(there)):
        raise NotUp(f"already up with AUTH={auth}: ./taskw down first")
    if there and there.running and (tls := lifecycle.tls_differs(there)):
        raise NotUp(f"already up with TLS={tls}: ./taskw down first")
    if there and lifecycle.is_all_up(there):
        print("already up" if there.ours else "already up, started by docker compose")
        if lifecycle.runs_old_code(there):
            print("the code has changed since: ./taskw down, then up, runs the new one")
    else:
        there = lifecycle.start(FOLDER, there)
    if there.ours:
        _open_market(there)
    _print_addresses(there)
    return there


def _say_stopped(names: Sequence[str]) -> None:
    print(f"stopped {', '.join(names)}" if names else "nothing was running", flush=True)


def _confirmed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


def _lost(system: System) -> str:
    again = "./taskw down" if system.folder == DEMO else "./taskw up starts it again"
    return f"not running any more: {', '.join(system.lost)} ({again})"


def _open_market(system: System) -> None:
    """Put a catalogue and people into the system, where there are none yet."""
    import httpx

    from deploy.commands import CommandRefused
    from deploy.demo.people import open_market

    try:
        asyncio.run(open_market(system.installation))
    except (httpx.HTTPError, CommandRefused) as error:
        print(f"no catalogue: {error}", file=sys.stderr)


def _print_addresses(system: System) -> None:
    state = system.state
    for name in state.services:
        if name != "portal":
            print(f"{name:12}{state.service_url(name)}/docs")
    management = f"{state.management_scheme}://127.0.0.1:{state.management}"
    print(f"{'RabbitMQ':12}{management}   user {ADMINISTRATOR}, password in")
    print(f"{'':12}{state.passwords_file(system.folder)} (rabbitmq {ADMINISTRATOR})")
    print(f"{'Postgres':12}127.0.0.1:{state.postgres}   passwords in the same file")
    if system.ours:
        _print_sign_ins(system)
    else:  # only the person who started it knows who can sign in
        print(f"\n{'portal':12}{state.service_url('portal')}")


def _print_sign_ins(system: System) -> None:
    """Print the portal's address last: a person goes on there."""
    from deploy.demo.people import PEOPLE

    installation = system.installation
    print(f"\n{'portal':12}{system.state.service_url('portal')}   sign in as")
    for person in PEOPLE:
        print(f"{'':12}{person.email:26}{installation.sign_in_password(person.role)}")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing interrupts the stopping
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> None:
    """End an error that can be expected with one clear message and a non-zero exit code."""
    logging.getLogger().addHandler(logging.NullHandler())  # the libraries' own messages do not help
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _interrupt)
    try:
        app()
    except BrokenPipeError:  # the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (
        StartFailed,
        StartFailure,
        StillRunning,
        NotUp,
        BackupFailed,
        ValueError,
        OSError,
    ) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
