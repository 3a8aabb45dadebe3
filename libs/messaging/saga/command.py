"""The command line of the choreography: check it, write what is derived from it, compare it."""

from pathlib import Path
from typing import Annotated

import typer

from libs.messaging.saga import asyncapi, discovery, pictures, rules
from libs.messaging.saga.choreography import choreography_of

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
    docs/asyncapi, and the pictures in the READMEs.
    """
    if context.invoked_subcommand:
        return
    loaded = discovery.load(discovery.named_participants(participants or []))
    found, root = choreography_of(loaded), Path.cwd()
    wanted = {
        root / discovery.document_path(choreography): found.as_text(),
        **pictures.sections(found, root),
        **asyncapi.files(loaded, root / "docs" / "asyncapi"),
    }
    problems = rules.check(found)
    for path, text in wanted.items():
        if path.exists() and path.read_text() == text:
            continue
        if check:
            problems.append(f"{path.relative_to(root)} is stale: run ./taskw choreography")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)
    typer.echo("the services fit together")
