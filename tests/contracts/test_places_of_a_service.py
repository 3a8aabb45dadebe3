"""After a service is added to `deploy/services.py`, a test names each place that still lacks it."""

import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from deploy.services import SERVICES, ServiceSpec
from libs.runtime.settings import ServiceSettings
from services.portal.infrastructure.settings import PortalSettings
from tests.security.matrix import ENDPOINTS
from tests.security.test_tokens import GUARDED
from tests.simulation.world import World

ROOT = Path(__file__).parents[2]
TOKENS = "tests/security/test_tokens.py"
KINDS = ("unit", "contracts", "integration")


def gaps(spec: ServiceSpec) -> Iterator[str]:
    """One sentence for each place that does not know this service."""
    name, port = spec.name, spec.port
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    published = f"127.0.0.1:${{{name.upper()}_PORT:-{port}}}:"

    if (
        f"services.{name}.infrastructure.consumers:participant"
        not in (project["messaging"]["participants"])
    ):
        yield f"{name} is no participant: add it to [tool.messaging] of pyproject.toml"
    if not any(entry.startswith(published) for entry in compose.get(name, {}).get("ports", ())):
        yield f"{name} is not published on port {port}: add it to compose.yaml"
    if not re.search(
        rf"^\| {name} \| \S+:{port}\b", (ROOT / "README.md").read_text(), re.MULTILINE
    ):
        yield f"{name} has no row with port {port} in README.md: add it to 'Addresses'"
    if default_port(name) != port:
        yield f"{name} listens on {default_port(name)}, not on {port}: say it in its settings"
    if not spec.is_portal:
        address = PortalSettings.model_fields.get(f"{name}_url")
        if address is None or not address.default.endswith(f":{port}"):
            yield f"the portal does not find {name} at port {port}: add {name}_url to its settings"
    if name not in ENDPOINTS:
        yield f"{name} has no row in the endpoint matrix: add it to tests/security/matrix.py"
    if name not in GUARDED:
        yield f"{name} is asked with no forged token: add it to GUARDED in {TOKENS}"
    if name not in World().services:
        yield f"{name} takes no part in the simulation: add it to tests/simulation/world.py"
    for kind in KINDS:
        if not any((ROOT / "tests" / kind / name).glob("test_*.py")):
            yield f"{name} has no tests in tests/{kind}/{name}"


def default_port(name: str) -> int | None:
    """None where there are no settings."""
    try:
        module = importlib.import_module(f"services.{name}.infrastructure.settings")
    except ModuleNotFoundError:
        return None
    [own] = [each for each in vars(module).values() if is_settings(each, module.__name__)]
    port: int = own.model_fields["port"].default
    return port


def is_settings(each: object, module: str) -> bool:
    return (
        isinstance(each, type) and issubclass(each, ServiceSettings) and each.__module__ == module
    )


@pytest.mark.parametrize("spec", SERVICES, ids=lambda spec: spec.name)
def test_every_place_knows_each_service(spec: ServiceSpec) -> None:
    assert list(gaps(spec)) == []


def test_each_place_that_does_not_know_a_service_is_named() -> None:
    assert list(gaps(ServiceSpec("loyalty", 8087))) == [
        "loyalty is no participant: add it to [tool.messaging] of pyproject.toml",
        "loyalty is not published on port 8087: add it to compose.yaml",
        "loyalty has no row with port 8087 in README.md: add it to 'Addresses'",
        "loyalty listens on None, not on 8087: say it in its settings",
        "the portal does not find loyalty at port 8087: add loyalty_url to its settings",
        "loyalty has no row in the endpoint matrix: add it to tests/security/matrix.py",
        f"loyalty is asked with no forged token: add it to GUARDED in {TOKENS}",
        "loyalty takes no part in the simulation: add it to tests/simulation/world.py",
        "loyalty has no tests in tests/unit/loyalty",
        "loyalty has no tests in tests/contracts/loyalty",
        "loyalty has no tests in tests/integration/loyalty",
    ]
