"""These commands of a terminal manage users, tokens, the keys that sign tokens, and audits.

The first admin comes from here.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, TypeVar
from uuid import UUID

import typer

from libs.kernel.clock import utc_now
from libs.kernel.errors import DomainError
from libs.kernel.ids import uuid7
from libs.kernel.secret_files import SecretFileError, take_from_files
from libs.runtime.auth import DEFAULT_TENANT
from libs.runtime.database import check_database
from libs.runtime.settings import read_settings
from libs.runtime.start_failure import StartFailure, one_line_errors
from services.portal.application.create_user import create_user
from services.portal.application.record_audit import record_audit
from services.portal.application.rotate_signing_key import rotate_signing_key
from services.portal.application.verify_audits import verify_audits
from services.portal.domain.audit import Act, Result
from services.portal.domain.user import check_password, normal_email
from services.portal.infrastructure.identity.passwords import Argon2Passwords
from services.portal.infrastructure.identity.signed_tokens import Tokens, make_key
from services.portal.infrastructure.settings import PortalSettings
from services.portal.infrastructure.store import backups
from services.portal.infrastructure.store.backups import record_backup
from services.portal.infrastructure.store.checks import record_check
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork, Store

Connect = Callable[[PortalSettings], Store]
Answer = TypeVar("Answer")
Work = Callable[[Store, PortalSettings], Awaitable[Answer]]
ACTOR = "terminal"
ISO = "%Y-%m-%dT%H:%M:%S.%f%z"

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def run(arguments: Sequence[str], connect: Connect) -> None:
    """Run one command. Any trouble that a user can correct is one line and exit code 2."""
    with one_line_errors():
        try:
            take_from_files(["PASSWORD"], os.environ)
        except SecretFileError as error:
            raise StartFailure(str(error)) from None
        app(list(arguments), obj=connect, prog_name="portal")


@app.command()
def add_user(  # nosec B107  # an empty password is asked for
    context: typer.Context,
    email: str,
    role: Annotated[list[str], typer.Option(help="Repeat it for several.")],
    name: Annotated[str, typer.Option()],
    tenant: Annotated[str, typer.Option()] = DEFAULT_TENANT,
    locale: Annotated[str, typer.Option()] = "en",
    customer_id: Annotated[UUID | None, typer.Option(help="The buyer's customer record.")] = None,
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, envvar="PASSWORD")] = "",
) -> None:
    """Make a user, and print the id; the password is asked for, or read from PASSWORD
    or from the file that PASSWORD_FILE names.
    """

    async def work(transactions: Store, _: PortalSettings) -> str:
        check_password(password, email=normal_email(email))
        hashed = await Argon2Passwords().hash(password)
        user = await transactions.run(
            lambda uow: create_user(
                uow,
                tenant_id=tenant,
                name=name,
                email=email,
                password_hash=hashed,
                roles=role,
                locale=locale,
                actor=ACTOR,
                new_id=uuid7,
                now=utc_now(),
                customer_id=customer_id,
            )
        )
        return str(user.id)

    typer.echo(_do(context, work))


@app.command()
def token(context: typer.Context, email: str) -> None:
    """Print a token for a user, that every service accepts."""

    async def work(transactions: Store, settings: PortalSettings) -> str:
        address = normal_email(email)
        user = await transactions.run(lambda uow: uow.users.find_by_email(address))
        if user is None:
            raise StartFailure("nobody signs in with this e-mail")
        return await Tokens(transactions, settings).mint(user)

    typer.echo(_do(context, work))


@app.command()
def rotate_keys(context: typer.Context) -> None:
    """Sign with a new key; the one before stays published until its tokens have expired."""

    async def work(transactions: Store, settings: PortalSettings) -> str:
        async def rotate(uow: PostgresPortalUnitOfWork) -> str:
            key = await rotate_signing_key(
                uow, make_key=make_key, token_lifetime=settings.token_lifetime, now=utc_now()
            )
            await record_audit(
                uow,
                act=Act(DEFAULT_TENANT, ACTOR, uuid7(), utc_now()),
                action="key.rotated",
                target=str(key.id),
            )
            return f"{key.id} signs from {key.signs_from.isoformat(timespec='seconds')} on"

        return await transactions.run(rotate)

    typer.echo(_do(context, work))


@app.command("verify-audits")
def verify(context: typer.Context, tenant: Annotated[str, typer.Option()] = DEFAULT_TENANT) -> None:
    """Check that every audit is as it was written; exit 1 when one is not."""

    async def work(transactions: Store, _: PortalSettings) -> str | None:
        report = await transactions.run(lambda uow: verify_audits(uow, tenant_id=tenant))
        typer.echo(json.dumps({"checked": report.checked, "problem": report.problem}))
        return report.problem

    if _do(context, work):
        raise typer.Exit(1)


@app.command("record-check")
def record(
    context: typer.Context,
    purchases: Annotated[int, typer.Option(help="How many were looked at.")],
    passed_over: Annotated[int, typer.Option(help="How many of them were on their way.")] = 0,
    broken: Annotated[
        list[str] | None, typer.Option(help="A rule that does not hold; repeat it for several.")
    ] = None,
    tenant: Annotated[str, typer.Option()] = DEFAULT_TENANT,
    started: Annotated[
        datetime | None,
        typer.Option(formats=[ISO], help="When it began; it answers what was asked for before."),
    ] = None,
) -> None:
    """Leave the result of a check of the invariants among the audits."""

    async def work(transactions: Store, _: PortalSettings) -> str:
        audit = await record_check(
            transactions,
            tenant_id=tenant,
            purchases=purchases,
            passed_over=passed_over,
            broken=broken or [],
            started=started,
        )
        return str(audit.sequence)

    typer.echo(_do(context, work))


@app.command("record-migration")
def record_schema(
    context: typer.Context,
    approved_by: Annotated[str, typer.Option(help="A sign-in name of letters, digits, . _ -")],
    service: Annotated[str, typer.Option(help="Whose schema.")],
    before: Annotated[str, typer.Option(help="Its revision before.")],
    after: Annotated[str, typer.Option(help="Its revision now.")],
    failed: Annotated[bool, typer.Option("--failed", help="It was not done.")] = False,
    tenant: Annotated[str, typer.Option()] = DEFAULT_TENANT,
) -> None:
    """Leave among the audits who approved a change of a schema."""

    async def work(transactions: Store, _: PortalSettings) -> str:
        audit = await transactions.run(
            lambda uow: record_audit(
                uow,
                act=Act(tenant, ACTOR, uuid7(), utc_now()),
                action="schema.migrated",
                target=service,
                result=Result.FAILED if failed else Result.DONE,
                details={"approved_by": approved_by, "revision": f"{before} > {after}"},
            )
        )
        return str(audit.sequence)

    typer.echo(_do(context, work))


@app.command("record-backup")
def record_a_backup(
    context: typer.Context,
    name: str,
    checked: Annotated[bool, typer.Option("--checked", help="It was restored aside.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Not all invariants held.")] = False,
) -> None:
    """Leave among the audits that a backup was made, or checked."""

    async def work(transactions: Store, _: PortalSettings) -> str:
        audit = await record_backup(
            transactions,
            name=name,
            action=backups.CHECKED if checked else backups.MADE,
            result=Result.FAILED if failed else Result.DONE,
        )
        return str(audit.sequence)

    typer.echo(_do(context, work))


def _do(context: typer.Context, work: Work[Answer]) -> Answer:
    connect: Connect = context.obj
    settings = read_settings(PortalSettings)

    async def done() -> Answer:
        await check_database(settings)
        transactions = connect(settings)
        try:
            return await work(transactions, settings)
        finally:
            await transactions.engine.dispose()

    try:
        return asyncio.run(done())
    except DomainError as error:
        raise StartFailure(str(error)) from None
