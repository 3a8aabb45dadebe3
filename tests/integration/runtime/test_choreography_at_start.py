"""A service does not start when its choreography document is missing, broken or
differs from its code.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libs.runtime.settings import CHOREOGRAPHY
from tests.fixtures.databases import migrated_database_of
from tests.fixtures.servers import PostgresServer

ROOT = Path(__file__).parents[3]
MEND = "write it with `python -m libs.messaging choreography`, or set CHOREOGRAPHY to where it is"


@pytest.fixture(scope="module")
def payouts_database(postgres_server: PostgresServer) -> Iterator[str]:
    with migrated_database_of("payouts", postgres_server) as url:
        yield url


def changed(tmp_path: Path, change: Any) -> Path:
    """Copy the document after `change` has had its participants by name. Returns its path."""
    content = json.loads(CHOREOGRAPHY.read_text())
    participants = {each["name"]: each for each in content["participants"]}
    change(participants)
    path = tmp_path / "choreography.json"
    path.write_text(json.dumps({**content, "participants": list(participants.values())}))
    return path


def missing(tmp_path: Path) -> tuple[Path, str]:
    path = tmp_path / "nowhere.json"
    return path, f"the choreography cannot be read: {path}: No such file or directory"


def cut_off(tmp_path: Path) -> tuple[Path, str]:
    path = tmp_path / "choreography.json"
    path.write_bytes(CHOREOGRAPHY.read_bytes()[:1000])
    return path, f"the choreography cannot be read: {path} is no choreography: Invalid JSON"


def of_a_later_format(tmp_path: Path) -> tuple[Path, str]:
    path = tmp_path / "choreography.json"
    path.write_text(CHOREOGRAPHY.read_text().replace('"format": 1', '"format": 2'))
    return path, f"{path} is no choreography: format: Input should be 1"


def without_the_service(tmp_path: Path) -> tuple[Path, str]:
    path = changed(tmp_path, lambda participants: participants.pop("payouts"))
    return path, "the choreography does not contain payouts"


def with_another_event(tmp_path: Path) -> tuple[Path, str]:
    def change(participants: Any) -> None:
        participants["payouts"]["publishes"].pop()

    return changed(tmp_path, change), "the choreography differs from the code of payouts"


@pytest.mark.parametrize(
    "wrong", [missing, cut_off, of_a_later_format, without_the_service, with_another_event]
)
def test_the_service_does_not_start_and_says_in_one_line_what_to_do(
    payouts_database: str, tmp_path: Path, wrong: Any
) -> None:
    path, line = wrong(tmp_path)
    environment = {"DATABASE_URL": payouts_database, "ROLE": "api", "CHOREOGRAPHY": str(path)}
    ended = subprocess.run(
        [sys.executable, "-m", "services.payouts.main"],
        cwd=ROOT, env={"PATH": os.defpath, "PORT": "0", **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    [told] = ended.stderr.splitlines()
    assert told.startswith("error: ")
    assert line in told
    assert told.endswith(MEND)
    assert ended.returncode == 2
