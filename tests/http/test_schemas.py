"""Every service does what its OpenAPI document says, whatever it is sent. Schemathesis runs all its
checks with the tokens of two tenants, and uses what one answer names in the next request.

SCHEMATHESIS_SEED=… runs the same requests again.
"""

import json
import os
import random
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from deploy.services import SERVICES
from services.portal.domain.user import ROLES
from tests.fixtures.whole_market import person
from tests.http.serving import Serving

SEED = int(os.environ.get("SCHEMATHESIS_SEED", random.getrandbits(32)))
NORTH, SOUTH = "north", "south"
CONFIG = """
[auth.wfc]
path = "auth.json"
peers = ["north", "south"]

[checks.positive_data_acceptance]
# Check digits, cursors and versions are known to the service alone.
expected-statuses = ["2xx", "304", "400", "401", "403", "404", "409", "412", "422", "429"]

[checks.negative_data_rejection]
expected-statuses = ["4xx"]

[checks.missing_required_header]
expected-statuses = ["400", "401", "403", "422", "428"]
"""

each_service = pytest.mark.parametrize("service", [spec.name for spec in SERVICES])


@pytest.mark.slow
@pytest.mark.parametrize("service", ["payments"])
def test_a_service_does_what_its_document_says(
    served: Serving, service: str, tmp_path: Path
) -> None:
    run(served, service, tmp_path, "--phases", "examples,fuzzing", "--max-examples", "3")


@pytest.mark.long
@pytest.mark.timeout(600)
@each_service
def test_a_service_does_what_its_document_says_at_every_boundary(
    served: Serving, service: str, tmp_path: Path
) -> None:
    run(served, service, tmp_path, "--max-examples", "20")


def run(served: Serving, service: str, folder: Path, *options: str) -> None:
    """Run Schemathesis in a process of its own. A failure shows the report."""
    people = {name: person(*ROLES, tenant=f"{name}-{uuid.uuid4().hex}") for name in (NORTH, SOUTH)}
    users = [
        {
            "name": name,
            "fixedHeaders": [{"name": "Authorization", "value": served.token(each)}],
        }
        for name, each in people.items()
    ]
    (folder / "auth.json").write_text(json.dumps({"auth": users}))
    (folder / "schemathesis.toml").write_text(CONFIG)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli"),
            *("--config-file", "schemathesis.toml", "run"),
            f"{served.addresses[service]}/openapi.json",
            *("--checks", "all", "--mode", "all", "--continue-on-failure"),
            *("--seed", str(SEED), "--generation-database", "none", "--no-color"),
            *options,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"SCHEMATHESIS_SEED={SEED}")
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-3_000:]
