"""This is the command line of topology, outbox, dead letters and choreography.

The actions are functions of other modules; this module has only arguments and output.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar
from uuid import UUID

import asyncpg
import typer
from aio_pika.exceptions import AMQPError
from pydantic import TypeAdapter, ValidationError

from libs.kernel.secret_files import SecretFileError, take_from_files
from libs.messaging import topology
from libs.messaging.broker_url import (
    BrokerUrlError,
    parse_broker_url,
    parse_management_url,
    vhost_of,
)
from libs.messaging.database import DATABASE_ERRORS, Connection, connect, describe_refusal
from libs.messaging.database_url import DatabaseUrlError, parse_database_url
from libs.messaging.dead_letters import given_up, replay
from libs.messaging.dead_letters.dead_letters import (
    DeadLetter,
    DeadLetters,
    MayBeHandled,
    WouldStrand,
    how_to_go_on,
)
from libs.messaging.dead_letters.look import DeadLetterError
from libs.messaging.plain_text import Tls, check_broker_is_private, check_database_is_private
from libs.messaging.relay.backlog import backlog
from libs.messaging.saga import choreography, discovery
from libs.messaging.saga.choreography import DescribedParticipant
from libs.messaging.saga.command import choreography_app

Result = TypeVar("Result")

Document = Annotated[
    Path | None,
    typer.Option(
        "--choreography", help="The written document; else [tool.messaging] in pyproject.toml."
    ),
]


def _tls() -> Tls:
    """Return the setting TLS. Raises WrongUrl where it is none of its words."""
    try:
        return TypeAdapter(Tls).validate_python(os.environ.get("TLS") or "remote")
    except ValidationError:
        raise WrongUrl("TLS: it can be remote, required or off") from None


def _checked(
    parse: Callable[[str], object], check: Callable[[str, Tls], None]
) -> Callable[[typer.CallbackParam, str | None], str | None]:
    """Return a callback that refuses a URL in one sentence, which names its setting."""

    def checked(parameter: typer.CallbackParam, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parse(value)
            check(value, _tls())
        except (BrokerUrlError, DatabaseUrlError) as error:
            raise WrongUrl(f"{parameter.envvar}: {error}") from None
        return value

    return checked


def _private_database(url: str, tls: Tls) -> None:
    check_database_is_private(parse_database_url(url), tls)


class WrongUrl(Exception):
    """A setting is wrong. One line says which one, and why."""


class NoDatabase(Exception):
    """The database cannot be used. One line says why."""


RabbitUrl = Annotated[
    str,
    typer.Option(
        envvar="RABBITMQ_URL",
        help="amqp:// or amqps:// URL of an administrator.",
        callback=_checked(parse_broker_url, check_broker_is_private),
    ),
]
ManagementUrl = Annotated[
    str,
    typer.Option(
        envvar="RABBITMQ_MANAGEMENT_URL",
        help="http:// or https:// URL with user and password.",
        callback=_checked(parse_management_url, check_broker_is_private),
    ),
]
BoundingUrl = Annotated[
    str | None,
    typer.Option(
        "--management-url",
        envvar="RABBITMQ_MANAGEMENT_URL",
        help="Needed where a service only keeps views: its queues are bounded over it.",
        callback=_checked(parse_management_url, check_broker_is_private),
    ),
]
DatabaseUrl = Annotated[
    str,
    typer.Option(
        envvar="DATABASE_URL",
        help="postgresql:// URL of the service's database.",
        callback=_checked(parse_database_url, _private_database),
    ),
]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
topology_app = typer.Typer(no_args_is_help=True, help="Exchanges, queues and bindings.")
outbox_app = typer.Typer(no_args_is_help=True, help="What waits to be published.")
dead_app = typer.Typer(no_args_is_help=True, help="Messages a service gave up.")
app.add_typer(topology_app, name="topology")
app.add_typer(outbox_app, name="outbox")
app.add_typer(dead_app, name="dead")
app.add_typer(choreography_app, name="choreography")


_FAILURES = (
    SecretFileError,
    WrongUrl,
    NoDatabase,
    topology.TopologyError,
    choreography.ChoreographyError,
    discovery.UnknownParticipant,
    DeadLetterError,
    given_up.GivenUpError,
    AMQPError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
)


def main(arguments: list[str] | None = None) -> None:
    """End an error that can be expected with one clear line and exit code 1."""
    logging.getLogger().addHandler(logging.NullHandler())  # the libraries' own messages do not help
    try:
        take_from_files(("DATABASE_URL", "RABBITMQ_URL", "RABBITMQ_MANAGEMENT_URL"), os.environ)
        app(arguments)
    except _FAILURES as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        sys.exit(f"error: {reason}")


def _participants(document: Path | None) -> Sequence[DescribedParticipant]:
    return choreography.read(discovery.document_path(document)).participants


def _run(work: Awaitable[Result]) -> Result:
    async def waiting() -> Result:
        return await work

    return asyncio.run(waiting())


def _finish(problems: list[str], well: str) -> None:
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)
    typer.echo(well)


@topology_app.command("apply")
def topology_apply(
    rabbitmq_url: RabbitUrl, management_url: BoundingUrl = None, document: Document = None
) -> None:
    """Declare everything; doing it again changes nothing, and no queue is ever deleted."""
    wanted = topology.topology_of(_participants(document))
    if wanted.policies and management_url is None:
        raise WrongUrl("RABBITMQ_MANAGEMENT_URL is not set: queues of views are bounded by it")
    moved = _run(topology.apply(rabbitmq_url, wanted))
    if management_url is not None:
        _run(topology.apply_policies(management_url, vhost_of(rabbitmq_url), wanted))
    typer.echo(f"declared {len(wanted.exchanges)} exchanges and {len(wanted.queues)} queues")
    for policy in wanted.policies:
        typer.echo(f"queues bounded by policy {policy.name}: {len(policy.queues)}")
    if moved:
        typer.echo(f"moved {moved} dead letters out of queues of an earlier version")


@topology_app.command("check")
def topology_check(
    rabbitmq_url: RabbitUrl, management_url: ManagementUrl, document: Document = None
) -> None:
    """Compare the broker with what it should hold; exit 1 when something is missing, differs or
    is no longer wanted.
    """
    wanted = topology.topology_of(_participants(document))
    _finish(
        _run(topology.check(management_url, vhost_of(rabbitmq_url), wanted)), "all as it should be"
    )


@topology_app.command("prune")
def topology_prune(
    rabbitmq_url: RabbitUrl,
    management_url: ManagementUrl,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; else only list.")] = False,
    document: Document = None,
) -> None:
    """Delete what is no longer wanted: empty queues, unused exchanges, bindings. A queue that
    holds messages or has consumers stays.
    """
    wanted = topology.topology_of(_participants(document))
    vhost = vhost_of(rabbitmq_url)
    if not yes:
        for line in _run(topology.unwanted(management_url, vhost, wanted)):
            typer.echo(line)
        typer.echo("nothing was deleted: --yes deletes what is empty and unused")
        return
    pruned = _run(topology.prune(rabbitmq_url, management_url, vhost, wanted))
    for line in pruned.gone:
        typer.echo(f"deleted: {line}")
    _finish([f"kept: {line}" for line in pruned.kept], f"{len(pruned.gone)} deleted")


@topology_app.command("show")
def topology_show(document: Document = None) -> None:
    """Show what the broker should hold."""
    wanted = topology.topology_of(_participants(document))
    for exchange in wanted.exchanges:
        typer.echo(f"exchange {exchange.name} ({exchange.kind})")
    for queue in wanted.queues:
        typer.echo(f"queue    {queue.name}")
    for binding in wanted.bindings:
        typer.echo(f"binding  {binding.exchange} --{binding.routing_key}--> {binding.queue}")


@topology_app.command("replay")
def topology_replay(
    queue: str,
    rabbitmq_url: RabbitUrl,
    database_url: DatabaseUrl,
    hours: Annotated[float, typer.Option(help="How far back to go.")] = 24 * 7,
) -> None:
    """Send a queue's events again from the publishing service's archive, to that queue only."""

    since = datetime.now(UTC) - timedelta(hours=hours)

    async def work(database: Connection) -> int:
        return await replay.replay(rabbitmq_url, database, queue, since)

    typer.echo(f"sent {_on_database(database_url, work)} events to {queue}")


@outbox_app.command("status")
def outbox_status(database_url: DatabaseUrl) -> None:
    """Show how many events wait, how long the oldest has waited, and why."""

    state = _on_database(database_url, backlog)
    typer.echo(f"{state.rows} waiting, the oldest for {state.age:.1f} s")
    if state.failing:
        typer.echo(f"{state.failing} failing, for example: {state.error}")
    if state.given_up:
        typer.echo(f"{state.given_up} given up: outbox list shows them")


@outbox_app.command("list")
def outbox_list(database_url: DatabaseUrl) -> None:
    """List the events that a relay gave up: a person has to decide about each."""

    async def work(database: Connection) -> list[given_up.GivenUp]:
        return await given_up.given_up(database, datetime.now(UTC))

    found = _on_database(database_url, work)
    for each in found:
        typer.echo(
            f"{each.id} {each.type} of {each.subject}, written {each.created_at:%Y-%m-%d %H:%M}, "
            f"{each.behind} behind it: {each.error}"
        )
        typer.echo(f"  outbox {'release' if each.forgotten is None else 'reissue'} {each.id}")
    typer.echo(f"{len(found)} given up")


@outbox_app.command("release")
def outbox_release(
    database_url: DatabaseUrl,
    identifiers: Annotated[list[UUID] | None, typer.Argument()] = None,
    all_: Annotated[bool, typer.Option("--all")] = False,
) -> None:
    """Let given-up events and what waits behind them go: inboxes still know their ids."""
    if bool(identifiers) == all_:
        raise given_up.GivenUpError("name the ids to release, or --all")

    async def work(database: Connection) -> list[given_up.LetGo]:
        return await given_up.release(database, identifiers or None, datetime.now(UTC))

    _report_let_go(_on_database(database_url, work))


@outbox_app.command("reissue")
def outbox_reissue(
    database_url: DatabaseUrl,
    identifiers: list[UUID],
    not_handled: Annotated[
        bool, typer.Option("--not-handled", help="You know that no copy of them was handled.")
    ] = False,
) -> None:
    """Let given-up events that no inbox knows any more go under new ids; an old id becomes the
    cause.
    """

    async def work(database: Connection) -> list[given_up.LetGo]:
        now = datetime.now(UTC)
        return await given_up.reissue(database, identifiers, now, not_handled=not_handled)

    _report_let_go(_on_database(database_url, work))


def _on_database(url: str, work: Callable[[Connection], Awaitable[Result]]) -> Result:
    async def connected() -> Result:
        try:
            database = await connect(url, "messaging command line")
        except DATABASE_ERRORS as error:
            raise NoDatabase(describe_refusal(error, parse_database_url(url))) from None
        try:
            return await work(database)
        finally:
            await database.close()

    return _run(connected())


def _report_let_go(gone: list[given_up.LetGo]) -> None:
    for each in gone:
        typer.echo(f"goes: {each.id}" + (f" as {each.new_id}" if each.new_id else ""))
    typer.echo(f"{len(gone)} events go out now")


@dead_app.command("list")
def dead_list(
    rabbitmq_url: RabbitUrl,
    service: Annotated[str | None, typer.Argument(help="All services if left out.")] = None,
    document: Document = None,
) -> None:
    """List each message on one line, however many copies of it there are."""
    letters = _run(DeadLetters(_participants(document), rabbitmq_url).listed(service))
    for each in letters:
        counts = f"attempts {each.attempts}, copies {each.copies}, since {each.refused_at or '?'}"
        typer.echo(f"{each.id} {each.queue} ({counts}): {each.error}")
    typer.echo(f"{len(letters)} dead letters")


@dead_app.command("show")
def dead_show(
    service: str, identifier: str, rabbitmq_url: RabbitUrl, document: Document = None
) -> None:
    """Show one message in full."""
    letters = _run(DeadLetters(_participants(document), rabbitmq_url).listed(service))
    found = [each for each in letters if each.id == identifier]
    if not found:
        raise DeadLetterError(f"no dead letter with id {identifier}")
    for each in found:
        for name, value in vars(each).items():
            typer.echo(f"{name}: {value}")


@dead_app.command("redrive")
def dead_redrive(
    service: str,
    rabbitmq_url: RabbitUrl,
    identifiers: Annotated[list[str] | None, typer.Argument()] = None,
    all_: Annotated[bool, typer.Option("--all")] = False,
    document: Document = None,
) -> None:
    """Send messages to the one queue each came from."""
    if bool(identifiers) == all_:
        raise DeadLetterError("name the ids to redrive, or --all")
    letters = DeadLetters(_participants(document), rabbitmq_url)
    redriven = _run(letters.redrive(service, identifiers or None))
    _report("sent again", redriven.sent)
    if redriven.kept:
        kept = [f"kept: {how_to_go_on(each)}" for each in redriven.kept]
        _finish(kept, "")


@dead_app.command("reissue")
def dead_reissue(
    service: str,
    identifiers: list[str],
    rabbitmq_url: RabbitUrl,
    not_handled: Annotated[
        bool, typer.Option("--not-handled", help="You know that no copy of them was handled.")
    ] = False,
    document: Document = None,
) -> None:
    """Send messages that no inbox accepts any more to the one queue each came from, under a new
    id. The old id becomes the cause.
    """
    letters = DeadLetters(_participants(document), rabbitmq_url)
    try:
        sent = _run(letters.reissue(service, identifiers, not_handled=not_handled))
    except MayBeHandled as error:
        hint = "" if not_handled else " (--not-handled if you know that it was not)"
        raise DeadLetterError(f"{error}{hint}") from None
    for letter, new_id in sent:
        typer.echo(f"reissued: {letter.id} {letter.queue} as {new_id}")
    typer.echo(f"{len(sent)} reissued")


@dead_app.command("discard")
def dead_discard(
    service: str,
    identifiers: list[str],
    rabbitmq_url: RabbitUrl,
    yes: Annotated[bool, typer.Option("--yes", help="Even if it strands a saga.")] = False,
    document: Document = None,
) -> None:
    """Throw messages away for good."""
    letters = DeadLetters(_participants(document), rabbitmq_url)
    try:
        _report("discarded", _run(letters.discard(service, identifiers, stranding=yes)))
    except WouldStrand as error:
        raise DeadLetterError(f"{error} (--yes if this is meant)") from None


def _report(what: str, letters: list[DeadLetter]) -> None:
    for each in letters:
        typer.echo(f"{what}: {each.id} {each.queue}")
    typer.echo(f"{len(letters)} {what}")


if __name__ == "__main__":
    main()
