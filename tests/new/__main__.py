"""`./taskw new` writes the skeleton of a service or of an event, and says what is left to do."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from deploy.services import SERVICES, service_named
from tests.new.event import event_changes
from tests.new.places import gaps, gaps_of_event, participant
from tests.new.service import service_changes
from tests.new.written import Refused, write

app = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True)
CHOREOGRAPHY = ("libs.messaging", "choreography")
TRANSLATIONS = ("services.portal.infrastructure.language.i18n",)
WRITERS = (
    CHOREOGRAPHY,
    ("tests.kubernetes",),
    ("tests.new", "terraform"),
    ("tests.documents",),
    TRANSLATIONS,
)
"""The commands that write what follows from the code, each as it is given to `python -m`."""


@app.command()
def service(
    name: Annotated[str, typer.Argument(help="One word in lower case, such as loyalty.")],
    port: Annotated[int | None, typer.Option(help="The next free one when left out.")] = None,
) -> None:
    """Write a service that consumes one event and has one endpoint, with its tests, and register
    it.
    """
    write(service_changes(Path.cwd(), name, port))
    _say_what_is_left(name)


@app.command()
def event(
    name: Annotated[str, typer.Argument(metavar="SERVICE", help="Who publishes it.")],
    event_type: Annotated[
        str, typer.Argument(metavar="TYPE", help="Its name on the wire: order.returned.v1.")
    ],
) -> None:
    """Write the class of an event with its sample, and add it to what the service publishes."""
    write(event_changes(Path.cwd(), name, event_type))
    _say_what_is_left(name, event_type)


@app.command()
def left(
    name: Annotated[str, typer.Argument(metavar="SERVICE")],
    event_type: Annotated[str | None, typer.Argument(metavar="TYPE")] = None,
) -> None:
    """Say what is left to do for a service with all its events, or for one event."""
    found = list(_left(name, event_type))
    print("\n".join(found) or "nothing is left: every place knows it")


@app.command(hidden=True)
def terraform() -> None:
    """Write deploy/terraform/services.json."""
    from deploy.gcp import catalogue

    catalogue.FILE.write_text(catalogue.written())


def _left(name: str, event_type: str | None) -> Iterator[str]:
    """Yield one sentence for each place that a person has to change."""
    if name not in {spec.name for spec in SERVICES}:
        raise Refused(f"there is no service {name}")
    if event_type is None:
        yield from gaps(service_named(name))
        ours = participant(name)
        for each in () if ours is None else ours.publishes:
            yield from gaps_of_event(name, each.type)
    else:
        yield from gaps_of_event(name, event_type)
    yield from _problems(*CHOREOGRAPHY, "--check")


def _problems(*command: str) -> list[str]:
    ended = _run(*command)
    return ended.stderr.splitlines() if ended.returncode else []


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False
    )


def _say_what_is_left(*what: str) -> None:
    """Say it from new processes, which load the code as it is now."""
    print("left to do:")
    for command in WRITERS:
        ended = _run(*command)
        if ended.returncode and command != CHOREOGRAPHY:  # `left` says what choreography refuses
            print(f"python -m {' '.join(command)} ended with: {ended.stderr.strip()}")
    ended = _run("tests.new", "left", *what)
    print(ended.stdout or ended.stderr, end="")
    print(f"./taskw new left {' '.join(what)} says what still is; ./taskw check, then the tests.")


if __name__ == "__main__":
    try:
        app(prog_name="./taskw new", standalone_mode=True)
    except Refused as refusal:
        sys.exit(f"error: {refusal}")
