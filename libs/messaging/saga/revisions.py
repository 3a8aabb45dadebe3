"""This module reads the choreography of another revision of the repository."""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

from libs.messaging.saga import description, discovery
from libs.messaging.saga.choreography import Choreography, ChoreographyError, parsed


def choreography_at(revision: str, document: Path, current: Choreography) -> Choreography:
    """Return what `document` holds at a git revision of its repository, or raise ChoreographyError.

    Where the revision is older than the document, its files are written to a temporary folder, and
    its code is described there. What that code does not tell is taken to be as in `current`.
    """
    folder = document.parent
    commit = _commit(folder, revision)
    root = Path(_git(folder, "rev-parse", "--show-toplevel").decode().strip())
    path = document.resolve().relative_to(root.resolve()).as_posix()
    if _git(root, "ls-tree", commit, "--", path):
        return parsed(_git(root, "show", f"{commit}:{path}"), f"{revision}:{path}")
    with tempfile.TemporaryDirectory(prefix="choreography-") as place:
        with tarfile.open(fileobj=BytesIO(_git(root, "archive", "--format=tar", commit))) as files:
            files.extractall(place, filter="data")
        described = _described(Path(place), revision)
    return parsed(json.dumps(_completed(described, current)), f"the code of {revision}")


def _commit(folder: Path, revision: str) -> str:
    try:
        wanted = f"{revision}^{{commit}}"
        return _git(folder, "rev-parse", "--verify", "--end-of-options", wanted).decode().strip()
    except ChoreographyError as error:
        raise ChoreographyError(f"{revision} is no revision: {error}") from None


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise ChoreographyError(f"git: {error.strerror}") from None
    if done.returncode:
        raise ChoreographyError(f"git: {' '.join(done.stderr.decode().split())}")
    return done.stdout


def _described(tree: Path, revision: str) -> list[dict[str, Any]]:
    names = discovery.named_participants([], tree / "pyproject.toml")
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-P", description.__file__, *names],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise ChoreographyError(f"the code of {revision} cannot be described: {reason}")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _completed(described: list[dict[str, Any]], current: Choreography) -> dict[str, Any]:
    """Add what old code does not tell: some directions and extension attributes."""
    published = {event.type: event for each in current.participants for event in each.publishes}
    consumed = {each.queue: each for one in current.participants for each in one.consumes}
    for participant in described:
        for event in participant["publishes"]:
            now = published.get(event["type"])
            if event["direction"] is None:
                event["direction"] = now.direction.value if now else "forward"
            if event["extensions"] is None:
                event["extensions"] = list(now.extensions) if now else []
        for each in participant["consumes"]:
            if each["extensions"] is None:
                known = consumed.get(each["queue"])
                each["extensions"] = list(known.extensions) if known else []
    return {"format": 1, "participants": described}
