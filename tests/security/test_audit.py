"""`./taskw audit` reports success only when it could check every package."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.audit import NotAudited, vulnerabilities

WELL: dict[str, Any] = {"name": "fine", "version": "1.0", "vulns": []}
BROKEN: dict[str, Any] = {
    "name": "broken",
    "version": "2.0",
    "vulns": [{"id": "CVE-2026-1", "fix_versions": ["2.1"]}],
}
UNKNOWN: dict[str, Any] = {"name": "unknown", "skip_reason": "Dependency not found"}


def answer(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_each_vulnerability_is_a_line_with_the_version_that_mends_it() -> None:
    assert vulnerabilities(answer(WELL)) == []
    assert vulnerabilities(answer(WELL, BROKEN)) == ["broken 2.0: CVE-2026-1, mended in 2.1"]


def test_a_package_the_database_does_not_know_is_no_success() -> None:
    with pytest.raises(NotAudited, match="not in the database: unknown"):
        vulnerabilities(answer(WELL, UNKNOWN))


def test_a_database_that_knows_no_package_is_out_of_reach() -> None:
    with pytest.raises(NotAudited, match="out of reach"):
        vulnerabilities(answer(UNKNOWN, UNKNOWN))


def test_without_a_network_it_says_so_in_one_line(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    done = subprocess.run(
        [sys.executable, "-m", "deploy.audit"],
        env={**os.environ, "HTTPS_PROXY": nowhere, "XDG_CACHE_HOME": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the database of vulnerabilities is out of reach")
    assert done.stderr.count("\n") == 1
