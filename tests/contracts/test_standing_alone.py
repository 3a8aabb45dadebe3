"""A service's process loads no code of another service."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.services import SERVICES

OF_TOOLS = {"alembic", "libs.messaging.saga.discovery", "typer"}
"""What only commands use."""
ROOT = Path(__file__).parents[2]
START = """
import json, sys
from importlib import import_module

main, name = import_module(f"services.{sys.argv[1]}.main"), sys.argv[1]
from libs.runtime import common_endpoints, written_choreography
from libs.runtime.settings import CHOREOGRAPHY

choreography = written_choreography.read_choreography(CHOREOGRAPHY)
written_choreography.check_own(main.participant(), choreography)
queues = written_choreography.expected_queues(main.participant(), choreography)
# what /asyncapi answers with
common_endpoints._described(main.participant(), choreography, "mercado")
print(json.dumps({"modules": sorted(sys.modules), "queues": queues}))
"""


@pytest.mark.parametrize("service", [spec.name for spec in SERVICES])
def test_a_service_knows_its_peers_without_loading_a_module_of_theirs(
    service: str,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START, service],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(done.stdout)
    peers = [f"services.{spec.name}" for spec in SERVICES if spec.name != service]
    loaded = {
        name for name in told["modules"] if any(f"{name}.".startswith(f"{p}.") for p in peers)
    }
    assert loaded == set()
    assert f"services.{service}.main" in told["modules"]
    assert not OF_TOOLS & set(told["modules"])
    assert ("httpx" in told["modules"]) == (service == "portal")  # it calls the others
    if service == "orders":
        assert "customers.on.order.confirmed.v1" in told["queues"]["order.confirmed.v1"]
