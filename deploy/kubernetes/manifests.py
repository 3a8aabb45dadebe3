"""These manifests follow from the code: workloads of every service, their secrets and networks,
the jobs that prepare the servers, and what monitors them.

Names, ports, settings, secrets, events and dashboards come from the same places as in every other
installation. `./taskw kubernetes` writes `base/written/`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from deploy.docker import volumes
from deploy.installation import CHOREOGRAPHY
from deploy.kubernetes.jobs import administrator, job
from deploy.kubernetes.pieces import (
    BROKER,
    DATABASE,
    SERVER_PODS,
    Manifest,
    network_policy,
    ports_of,
    to_server,
)
from deploy.kubernetes.placeholders import Kind, Placeholders
from deploy.kubernetes.watching import dashboards, watching
from deploy.kubernetes.workloads import ROLES, service, settings_of
from deploy.services import SERVICES
from libs.messaging.saga.choreography import read


def entries() -> dict[str, Kind]:
    """Return all entries that the document of all secrets must have."""
    passwords = Placeholders()
    for spec in SERVICES:
        for role in ROLES:
            settings_of(spec, role, passwords)
    for each in ("databases", "broker"):
        volumes.ask_for(each, volumes.installation(passwords))
    return dict(sorted(passwords.asked.items()))


def written(alerts: Mapping[str, Any]) -> dict[str, list[Manifest]]:
    """Return the manifests by the name of their file. `alerts` is the content of `alerts.yml`."""
    participants = {each.name: each for each in read(CHOREOGRAPHY).participants}
    made = {
        **{spec.name: service(spec, participants[spec.name]) for spec in SERVICES},
        "jobs": [*job("databases", [DATABASE]), *job("broker", [BROKER]), *administrator()],
        "watching": watching(alerts),
        "dashboards": dashboards(),
    }
    return {**made, "servers": _clients([each for file in made.values() for each in file])}


def _clients(manifests: Sequence[Manifest]) -> list[Manifest]:
    """Return the clients of the servers: the pods whose own policies name them."""
    policies = [each["spec"] for each in manifests if each["kind"] == "NetworkPolicy"]
    made = []
    for server, (labels, ports) in SERVER_PODS.items():
        clients = [
            {"podSelector": each["podSelector"]}
            for each in policies
            if to_server(server) in each["egress"]
        ]
        ingress = [{"from": clients, "ports": ports_of(*ports)}]
        made.append(network_policy(f"{server}-clients", labels, ingress, None))
    return made
