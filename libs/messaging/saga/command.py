"""These commands check the choreography, write what is derived from it, and compare it."""

from pathlib import Path
from typing import Annotated

import typer

from libs.messaging.saga import asyncapi, discovery, pictures, rules
from libs.messaging.saga.choreography import ChoreographyError, choreography_of, read
from libs.messaging.saga.diff import changes
from libs.messaging.saga.reports import Format, report
from libs.messaging.saga.revisions import choreography_at

choreography_app = typer.Typer(help="What the services say to each other, as data and as pictures.")


@choreography_app.callback(invoke_without_command=True)
def write(
    context: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; compare.")] = False,
    participants: Annotated[
        list[str] | None,
        typer.Option(help="module:function of each; else [tool.messaging] in pyproject.toml."),
    ] = None,
    choreography: Annotated[
        Path | None,
        typer.Option(help="Where the document is; else [tool.messaging] in pyproject.toml."),
    ] = None,
) -> None:
    """Check that the services fit together; write the document every service reads at its start,
    docs/asyncapi, the table in docs/choreography.md, and the pictures in the READMEs.
    """
    if context.invoked_subcommand:
        return
    loaded = discovery.load(discovery.named_participants(participants or []))
    found, root = choreography_of(loaded), Path.cwd()
    wanted = {
        root / discovery.document_path(choreography): found.as_text(),
        **pictures.sections(found, root),
        **asyncapi.files(loaded, root / "docs" / "asyncapi", vhost=discovery.vhost()),
    }
    problems = rules.check(found)
    for path, text in wanted.items():
        if path.exists() and path.read_text() == text:
            continue
        if check:
            problems.append(f"{path.relative_to(root)} is stale: run the command choreography")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)
    typer.echo("the services fit together")


@choreography_app.command("diff")
def diff(
    base: Annotated[str, typer.Option(help="The git revision to compare with.")],
    form: Annotated[Format, typer.Option("--format")] = Format.TEXT,
    choreography: Annotated[
        Path | None,
        typer.Option(help="Where the document is; else [tool.messaging] in pyproject.toml."),
    ] = None,
) -> None:
    """Compare the written choreography with that of a git revision.

    Exit code 0: old and new processes may run side by side. 1: they may not. 2: cannot compare.
    """
    try:
        document = discovery.document_path(choreography)
        new = read(document)
        found = changes(choreography_at(base, document, new), new)
    except (ChoreographyError, discovery.UnknownParticipant) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(report(found, base, document.as_posix(), form))
    if not all(change.side_by_side for change in found):
        raise typer.Exit(1)
