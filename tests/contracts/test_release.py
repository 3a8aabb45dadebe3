"""This release's choreography is compatible with the last one's, because a rolling
deploy runs both at once.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from libs.messaging.saga.choreography import read
from libs.messaging.saga.diff import changes
from libs.messaging.saga.reports import Format, report
from libs.messaging.saga.revisions import choreography_at
from libs.runtime.settings import CHOREOGRAPHY

ROOT = Path(__file__).parents[2]
FIRST = "9563c33"
"""The state before the choreography was written as data, used while there is no tag."""


def git(*arguments: str) -> str | None:
    """Return the output of git, or None when it fails."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    return None if done.returncode else done.stdout.strip()


def last_release() -> str:
    if shutil.which("git") is None or git("rev-parse", "--show-toplevel") != str(ROOT):
        pytest.skip("no git history here")
    tag = git("describe", "--tags", "--abbrev=0", "HEAD")
    if tag is None and git("rev-parse", "--verify", f"{FIRST}^{{commit}}") is None:
        pytest.skip(f"the history here does not reach back to {FIRST}: a shallow clone")
    return tag or FIRST


def test_the_services_of_this_release_run_beside_those_of_the_last_one() -> None:
    release, new = last_release(), read(CHOREOGRAPHY)
    old = choreography_at(release, CHOREOGRAPHY, new)
    assert {each.name for each in old.participants} >= {"orders", "customers", "payments"}
    assert any(consumed.compensated_by for each in old.participants for consumed in each.consumes)
    breaking = [each for each in changes(old, new) if not each.side_by_side]
    assert not breaking, report(breaking, release, CHOREOGRAPHY.name, Format.TEXT)
