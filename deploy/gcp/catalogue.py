"""Terraform needs these facts about the services: deploy/terraform/services.json, derived from the
list of services, the choreography and the settings of an installation.
"""

import json
from pathlib import Path
from typing import Any

from deploy.docker.volumes import FILES
from deploy.gcp.held_passwords import HeldPasswords
from deploy.installation import CHOREOGRAPHY, Installation
from deploy.secret_settings import SECRETS
from deploy.services import SERVICES, ServiceSpec
from libs.messaging.saga.choreography import read

ROOT = Path(__file__).parents[2]
TERRAFORM = ROOT / "deploy" / "terraform"
FILE = TERRAFORM / "services.json"

KEEPS_A_LEDGER = "customers"
JOBS = ("databases", "broker")
"""These jobs prepare the servers before a rollout, in this order."""
NOT_IN_A_CLOUD = ("HOST", "PORT", "MAILER")
"""These settings are left out: Cloud Run sets the port, and MAILER=console would write links for
passwords into logs.
"""


def catalogue() -> dict[str, Any]:
    """Return services with roles, ports, secrets and plain settings; and the jobs."""
    publish = {each.name for each in read(CHOREOGRAPHY).participants if each.publishes}
    return {
        "services": [_described(spec, publishes=spec.name in publish) for spec in SERVICES],
        "jobs": list(JOBS),
    }


def written() -> str:
    """Return the text of services.json."""
    return json.dumps(catalogue(), indent=2) + "\n"


def secrets_of(spec: ServiceSpec) -> list[str]:
    """Return the settings of a service that Secret Manager holds."""
    return sorted(name for name in _settings(spec) if name in SECRETS)


def _described(spec: ServiceSpec, *, publishes: bool) -> dict[str, Any]:
    addresses = {f"{each.name.upper()}_URL" for each in SERVICES}
    plain = {
        name: value
        for name, value in sorted(_settings(spec).items())
        if name not in {*SECRETS, *NOT_IN_A_CLOUD, *addresses}
    }
    return {
        "name": spec.name,
        "port": spec.port,
        "pools": ["worker", "relay"] if publishes else ["worker"],
        "is_portal": spec.is_portal,
        "keeps_a_ledger": spec.name == KEEPS_A_LEDGER,
        "secrets": secrets_of(spec),
        "settings": plain,
    }


def _settings(spec: ServiceSpec) -> dict[str, str]:
    nowhere = {each.name: "" for each in SERVICES}
    return Installation("", "", "", HeldPasswords({}), FILES, nowhere).settings(spec, "", 0)


if __name__ == "__main__":
    FILE.write_text(written())
    print(f"wrote {FILE.relative_to(ROOT)}")
