"""python -m deploy.local COMMAND: the whole system on this machine."""

import asyncio
import os
import shutil
import signal
import sys
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from deploy.installation import ADMINISTRATOR, CHOREOGRAPHY, Installation
from deploy.local import containers
from deploy.local import logs as log_files
from deploy.local.engine import Runtime, choose_runtime
from deploy.local.postgres import data_folder
from deploy.local.processes import StartFailed, recorded, stop_recorded
from deploy.local.state import (
    CONTAINER_PASSWORDS,
    FOLDER,
    ROOT,
    NotUp,
    State,
    exclusive,
    forget_state,
    load_state,
)
from deploy.services import service_named

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
FORWARDED = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command()
def up(
    follow: Annotated[bool, typer.Option(help="Then show the logs; Ctrl-C stops all.")] = False,
) -> None:
    """Start Postgres, RabbitMQ and every service, and print their addresses."""
    with exclusive():
        state = _running()
        if state:
            print("already up")
        else:
            state = _start()
        _open_market(state)
        _print_addresses(state)
    if follow:
        try:
            _show_logs([], follow=True)
        finally:
            down()


@app.command()
def down() -> None:
    """Stop everything; the data stays."""
    with exclusive():
        _stop()


@app.command()
def clean() -> None:
    """Stop everything and delete its data, its passwords and its logs."""
    with exclusive():
        _stop()
        kept = (FOLDER / CONTAINER_PASSWORDS).exists()
        # Also what a start that failed has left, where the next one would use containers again.
        if kept or choose_runtime().runtime is Runtime.CONTAINERS:
            containers.delete_data(FOLDER)
        shutil.rmtree(data_folder(FOLDER), ignore_errors=True)
        shutil.rmtree(FOLDER)


@app.command()
def demo(
    keep: Annotated[bool, typer.Option(help="Leave the system running afterwards.")] = False,
) -> None:
    """Run seven purchases through the HTTP entrypoints, and show what happened in each."""
    from deploy.local import demo as purchases  # seconds of imports, of use here only

    console = Console(soft_wrap=True)
    with exclusive():
        if _running():
            raise NotUp("already up, perhaps with other settings: ./taskw down first")
        os.environ.setdefault("CODE_LIFETIME_SECONDS", str(purchases.CODE_LIFETIME_SECONDS))
        state = _start()
        try:
            _open_market(state)
            addresses = {name: state.service_url(name) for name in state.services}
            well = asyncio.run(purchases.play(addresses, state.installation(), console))
            print()
            _print_addresses(state)
        finally:
            if not keep:
                _stop()
    if keep:
        print("left running: ./taskw down stops it")
    if not well:
        sys.exit("error: not every purchase ended as it should, see above")


@app.command()
def verify(
    grace: Annotated[float, typer.Option(help="Seconds something may be on its way.")] = 5,
) -> None:
    """Check every invariant over all databases and queues; the result also stands in the portal."""
    from deploy.local import verify as checker  # seconds of imports, of use here only

    console = Console(soft_wrap=True)
    installation = load_state().installation()
    if not asyncio.run(checker.verify(installation, console, grace_seconds=grace)):
        sys.exit("error: not every invariant holds, see above")


@app.command()
def status() -> None:
    """Say what runs, and where; exit 1 when something that was started does not run any more."""
    state = load_state()
    lost = _lost(state)
    _print_addresses(state)
    if lost:
        sys.exit(f"not running any more: {', '.join(lost)} (./taskw up starts all again)")


@app.command()
def logs(
    names: Annotated[list[str] | None, typer.Argument(help="All if left out.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they grow.")] = False,
) -> None:
    """Print the logs of services and servers."""
    _show_logs(names or [], follow=follow)


@app.command(context_settings=FORWARDED)
def migrate(context: typer.Context, service: str) -> None:
    """Run Alembic for a service: migrate orders upgrade head."""
    environment = load_state().installation().migration(service_named(service).name)
    _become(["libs.runtime.migrations", service, *context.args], environment)


@app.command(context_settings=FORWARDED)
def dead(context: typer.Context) -> None:
    """Dead letters, as the broker's administrator."""
    environment = load_state().installation().administration()
    _become(["libs.messaging", "dead", *context.args], environment)


@app.command(context_settings=FORWARDED)
def outbox(
    context: typer.Context, command: str, service: Annotated[str, typer.Argument()] = ""
) -> None:
    """A service's outbox: outbox status orders, outbox release orders ID."""
    if not service:  # outbox orders
        command, service = "status", command
    environment = _database(load_state().installation(), service_named(service).name)
    _become(["libs.messaging", "outbox", command, *context.args], environment)


@app.command(context_settings=FORWARDED)
def topology(context: typer.Context) -> None:
    """The broker's topology, as its administrator; `replay QUEUE` reads the archive of the service
    that publishes the queue's events.
    """
    installation = load_state().installation()
    environment = installation.administration()
    queue = next((word for word in context.args[1:] if ".on." in word), None)
    if context.args[:1] == ["replay"] and queue is not None:
        environment |= _database(installation, _publisher(queue))
    _become(["libs.messaging", "topology", *context.args], environment)


def _publisher(queue: str) -> str:
    """Of the queue's events. Raises ValueError."""
    from libs.messaging.saga.choreography import read  # of use to this command only
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
    environment = load_state().installation().settings(spec, "127.0.0.1", spec.port)
    _become(["services.kpis.rebuild"], environment)


def _become(module: list[str], environment: dict[str, str]) -> None:
    os.chdir(ROOT)
    command = [sys.executable, "-m", *module]
    os.execve(sys.executable, command, {**os.environ, **environment})  # noqa: S606


def _state() -> State | None:
    try:
        return load_state()
    except NotUp:
        return None


def _lost(state: State) -> list[str]:
    """What was started and does not run any more."""
    if state.runtime is Runtime.CONTAINERS:
        return sorted(set(state.services) - set(containers.running(FOLDER)))
    records = recorded(FOLDER)
    lost = [record.name for record in records if not record.process()]
    return lost if records else list(state.services)


def _running() -> State | None:
    state = _state()
    return state if state and not _lost(state) else None


def _start() -> State:
    left = _stop_all()
    if left:
        print(f"stopped what an earlier run had left: {', '.join(left)}")
    choice = choose_runtime()
    print(f"runtime {choice.runtime.value}: {choice.reason}", flush=True)
    state = _start_private() if choice.runtime is Runtime.LOCAL else containers.start(FOLDER)
    state.save()
    return state


def _start_private() -> State:
    from deploy.local import private  # seconds of imports, of use to this command only

    try:
        return private.start(FOLDER)
    except private.EXPECTED as error:
        raise StartFailed(str(error)) from None


def _stop() -> None:
    stopped = _stop_all()
    print(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")


def _stop_all() -> list[str]:
    state = _state()
    stopped = stop_recorded(FOLDER)
    if state and state.runtime is Runtime.CONTAINERS:
        stopped += containers.stop(FOLDER)
    forget_state()
    return stopped


def _show_logs(names: list[str], *, follow: bool) -> None:
    state = _state()
    if state and state.runtime is Runtime.CONTAINERS:
        containers.show_logs(FOLDER, names, follow=follow)
    else:
        log_files.show(FOLDER, names, follow=follow)


def _open_market(state: State) -> None:
    """Put a catalogue and people to sign in there, where there are none yet."""
    import httpx

    from deploy.local.people import open_market
    from deploy.local.portal import PortalRefused

    try:
        asyncio.run(open_market(state.installation()))
    except (httpx.HTTPError, PortalRefused) as error:
        print(f"no catalogue: {error}", file=sys.stderr)


def _print_addresses(state: State) -> None:
    for name in state.services:
        if name != "portal":
            print(f"{name:12}{state.service_url(name)}/docs")
    print(f"{'RabbitMQ':12}http://127.0.0.1:{state.management}   user {ADMINISTRATOR}, password in")
    print(f"{'':12}{state.passwords_file()} (rabbitmq {ADMINISTRATOR})")
    print(f"{'Postgres':12}127.0.0.1:{state.postgres}   passwords in the same file")
    _print_sign_ins(state)


def _print_sign_ins(state: State) -> None:
    """The portal comes last: it is where to go on."""
    from deploy.local.people import PEOPLE

    installation = state.installation()
    print(f"\n{'portal':12}{state.service_url('portal')}   sign in as")
    for person in PEOPLE:
        print(f"{'':12}{person.email:26}{installation.sign_in_password(person.role)}")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what was begun is stopped undisturbed
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> None:
    """One clear message and a non-zero exit for everything that can be expected to go wrong."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _interrupt)
    try:
        app()
    except (StartFailed, NotUp, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
