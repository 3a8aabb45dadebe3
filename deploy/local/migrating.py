"""`migrate plan` and `migrate apply` change schemas in stages, in production after an approval."""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from typing import Annotated

import typer

from deploy.commands import CommandRefused, command
from deploy.installation import Installation
from deploy.prepare import migrate_to_head, pending_of
from deploy.services import SERVICES, service_named
from libs.runtime.migration_plan import KEEPS_OUT, Pending, Statement, Table, play
from libs.runtime.start_failure import StartFailure

APPROVER = re.compile(r"[A-Za-z0-9._-]{1,64}")
PORTAL = "portal"

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
Names = Annotated[list[str] | None, typer.Argument(metavar="[SERVICE]...")]


@app.command()
def plan(context: typer.Context, services: Names = None) -> None:
    """Print what is pending: its SQL, and which tables it keeps others from."""
    installation, names = context.obj, services or []
    changes = _pending(installation, names)
    for each in changes:
        if each.revisions:
            _show(each, asyncio.run(play(each, installation.superuser_url)))
        else:
            print(f"-- {each.service}: nothing to do, at {each.revision}")
    if not any(each.revisions for each in changes):
        return
    scope = f" {' '.join(names)}" if names else ""
    print(
        f"-- to do this: ./taskw migrate apply{scope} --approved-by NAME --plan {_id_of(changes)}"
    )


@app.command()
def apply(
    context: typer.Context,
    approved_by: Annotated[str, typer.Option(help="A sign-in name; it goes into the audits.")],
    services: Names = None,
    plan_id: Annotated[
        str | None, typer.Option("--plan", help="What was approved; anything else is refused.")
    ] = None,
) -> None:
    """Do what is pending, and leave among the audits who approved it."""
    apply_pending(context.obj, approved_by, services or [], plan_id)


def apply_pending(
    installation: Installation,
    approved_by: str,
    names: Sequence[str] = (),
    plan_id: str | None = None,
) -> None:
    """Do what is pending, of all services unless some are named. Raises StartFailure."""
    if not APPROVER.fullmatch(approved_by):
        raise StartFailure(
            "--approved-by takes a sign-in name of up to 64 letters, digits, '.', '_' and '-': "
            "audits hold no personal data"
        )
    changes = _pending(installation, names)
    if plan_id is not None and plan_id != _id_of(changes):
        raise StartFailure(
            f"plan {plan_id} was approved, and now {_id_of(changes)} is pending: "
            "./taskw migrate plan shows it"
        )
    to_do = [each for each in changes if each.revisions]
    # The portal comes first: this release writes its audits into this release's schema.
    for each in sorted(to_do, key=lambda change: change.service != PORTAL):
        print(f"{each.service}: {each.revision or 'empty'} > {each.head} …", flush=True)
        try:
            migrate_to_head(installation, each.service)
        except StartFailure:
            _record(installation, each, approved_by, failed=True)
            raise
        _record(installation, each, approved_by, failed=False)
    print(f"{len(to_do)} schemas migrated, approved by {approved_by}" if to_do else "nothing to do")


def _record(installation: Installation, change: Pending, approved_by: str, *, failed: bool) -> None:
    try:
        asyncio.run(
            command(
                installation,
                "portal",
                "record-migration",
                f"--approved-by={approved_by}",
                f"--service={change.service}",
                f"--before={change.revision or 'empty'}",
                f"--after={change.head}",
                *(["--failed"] if failed else []),
            )
        )
    except CommandRefused as error:
        done = "not migrated" if failed else "migrated"
        reason = str(error).removeprefix("error: ")
        raise StartFailure(f"{change.service} is {done}, but no audit says so: {reason}") from None


def _pending(installation: Installation, names: Sequence[str]) -> list[Pending]:
    services = [service_named(name).name for name in names] or [spec.name for spec in SERVICES]
    return [pending_of(installation, service) for service in services]


def _id_of(changes: Sequence[Pending]) -> str:
    digests = b"".join(each.digest for each in changes if each.revisions)
    return hashlib.sha256(digests).hexdigest()[:16]


def _show(change: Pending, statements: Sequence[Statement]) -> None:
    was = change.revision or "empty"
    print(f"-- {change.service}: {was} > {' > '.join(change.revisions)}, in one transaction")
    for statement in statements:
        for name, mode in statement.locks.items():
            words = f"locks {name} ({_size(change.tables.get(name))}): {KEEPS_OUT[mode]}"
            print(f"-- {words} until the transaction ends")
        for name in statement.rewrites:
            print(f"-- rewrites {name} ({_size(change.tables.get(name))}) meanwhile")
        print(statement.sql.rstrip(";") + ";")
    if not any(statement.locks for statement in statements):
        print("-- locks no table that is there")
    print()


def _size(table: Table | None) -> str:
    if table is None:
        return "new"
    return f"about {table.rows:,} rows, {table.bytes / 2**20:,.1f} MiB"
