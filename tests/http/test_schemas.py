"""Every service does what its OpenAPI document says, whatever it is sent: schemathesis, with all its
checks, the tokens of two tenants, and what one answer names used in the next request.
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
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "10"))

CONFIG = """
[auth.wfc]
path = "{auth}"
peers = ["north", "south"]

[checks.positive_data_acceptance]
# Check digits, cursors and versions are known to the service alone.
expected-statuses = ["2xx", "400", "401", "403", "404", "409", "412", "422", "429"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "412", "413", "415", "422", "428", "429"]

[checks.missing_required_header]
expected-statuses = ["400", "401", "403", "422", "428"]
"""


@pytest.mark.parametrize("service", [spec.name for spec in SERVICES])
def test_a_service_does_what_its_document_says(
    served: Serving, service: str, tmp_path: Path
) -> None:
    auth, config = tmp_path / "auth.json", tmp_path / "schemathesis.toml"
    peers = {
        name: person(*ROLES, tenant=f"{name}-{uuid.uuid4().hex}") for name in ("north", "south")
    }
    users = [
        {
            "name": name,
            "fixedHeaders": [
                {"name": "Authorization", "value": served.token(peer)},
            ],
        }
        for name, peer in peers.items()
    ]
    auth.write_text(json.dumps({"auth": users}))
    config.write_text(CONFIG.format(auth=auth))
    print(f"SCHEMATHESIS_SEED={SEED}")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"),
            f"{served.addresses[service]}/openapi.json",
            *("--checks", "all", "--mode", "all", "--max-examples", str(EXAMPLES)),
            *("--seed", str(SEED), "--generation-database", "none", "--no-color"),
            *("--request-timeout", "20", "--continue-on-failure"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-3000:]
