"""A service's process loads no code of another service."""

import json
import subprocess
import sys
from pathlib import Path

from deploy.services import SERVICES

OF_TOOLS = {"alembic", "libs.messaging.saga.discovery", "typer"}
"""Only commands use these."""
ROOT = Path(__file__).parents[2]
START = """
import json, os, sys
from importlib import import_module

import libs.runtime.server

def told(name):
    main = import_module(f"services.{name}.main")
    from libs.runtime import common_endpoints, written_choreography
    from libs.runtime.settings import CHOREOGRAPHY

    choreography = written_choreography.read_choreography(CHOREOGRAPHY)
    written_choreography.check_own(main.participant(), choreography)
    queues = written_choreography.expected_queues(main.participant(), choreography)
    # what /asyncapi answers with
    common_endpoints._described(main.participant(), choreography, "mercado")
    return {"modules": sorted(sys.modules), "queues": queues}

for name in sys.argv[1:]:
    if os.fork() == 0:
        print(json.dumps(told(name)))
        sys.exit()
    if os.wait()[1]:
        sys.exit(f"{name} did not start")
"""
"""Each service is loaded in a fork of one process, which has loaded what all services load."""


def test_a_service_knows_its_peers_without_loading_a_module_of_theirs() -> None:
    services = [spec.name for spec in SERVICES]
    done = subprocess.run(
        [sys.executable, "-c", START, *services],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    found = dict(zip(services, map(json.loads, done.stdout.splitlines()), strict=True))
    for service, told in found.items():
        peers = [f"services.{peer}" for peer in services if peer != service]
        loaded = {
            name for name in told["modules"] if any(f"{name}.".startswith(f"{p}.") for p in peers)
        }
        assert loaded == set(), service
        assert f"services.{service}.main" in told["modules"]
        assert not OF_TOOLS & set(told["modules"]), service
        calls_others = service == "portal"
        assert ("httpx" in told["modules"]) == calls_others, service
    assert "customers.on.order.confirmed.v1" in found["orders"]["queues"]["order.confirmed.v1"]
