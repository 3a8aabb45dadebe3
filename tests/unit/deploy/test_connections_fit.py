"""All connections that a whole market may open at once fit into what its Postgres accepts."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from deploy.installation import ROOT, Installation
from deploy.passwords import Passwords
from deploy.servers.postgres import SETTINGS
from deploy.services import SERVICES, ServiceSpec
from libs.messaging.relay.settings import RelaySettings
from libs.runtime.application import RESERVED_CONNECTIONS
from tests.unit.deploy.test_env_example import settings_type

OF_A_RELAY = RelaySettings().claimers + 1 + 2
"""A relay's connections: its claimers, its janitor, and two at times for a search of queues."""
LISTENER = NOTIFIER = PARTITIONS = 1
RESERVED = 3
"""For superusers: `superuser_reserved_connections`."""
TOOLS = 40
"""Connections for migrations, the checker of the invariants, backups and persons."""


def installation(folder: Path) -> Installation:
    services = {spec.name: f"http://127.0.0.1:{spec.port}" for spec in SERVICES}
    passwords = Passwords(folder / "secrets.json")
    return Installation("127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:1", passwords, folder, services)


def pools(
    spec: ServiceSpec, role: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, Any]:
    """Return the most connections of all pools of a process, and its service."""
    for name, value in {
        **installation(folder).settings(spec, "127.0.0.1", 0),
        "ROLE": role,
    }.items():
        monkeypatch.setenv(name, value)
    made: list[AsyncEngine] = []
    begun = AsyncEngine.__init__

    def begin(engine: AsyncEngine, *arguments: Any, **named: Any) -> None:
        begun(engine, *arguments, **named)
        made.append(engine)

    with monkeypatch.context() as patched:
        patched.setattr(AsyncEngine, "__init__", begin)
        settings = settings_type(spec.name)(_env_file=None)
        service = import_module(f"services.{spec.name}.main").build(settings)
    different = {id(engine.pool): engine.pool for engine in made}.values()
    assert different
    most = 0
    for pool in different:
        assert isinstance(pool, QueuePool)
        most += pool.size() + pool._max_overflow
    return most, service


def connections(spec: ServiceSpec, role: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    most, service = pools(spec, role, folder, monkeypatch)
    works, relays = role in ("all", "worker"), role in ("all", "relay")
    if works or relays:
        most += PARTITIONS
    if service.participant.publishes:
        most += OF_A_RELAY + LISTENER if relays else NOTIFIER
    if spec.has_reader and role in ("all", "api"):  # one for each request, and one for readiness
        most += service.settings.pool_size - RESERVED_CONNECTIONS + 1
    return most


@pytest.mark.parametrize("roles", [("all",), ("api", "worker", "relay")], ids="-".join)
def test_connections_of_all_services_fit_into_max_connections(
    roles: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = int(SETTINGS["max_connections"])
    for file in ("compose.yaml", "tests/fixtures/containers.py"):
        assert re.findall(r"max_connections=(\d+)", (ROOT / file).read_text()) == [str(accepted)]

    most = sum(
        connections(spec, role, tmp_path, monkeypatch) for spec in SERVICES for role in roles
    )

    assert most > 100
    assert most + RESERVED + TOOLS <= accepted
