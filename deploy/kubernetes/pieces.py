"""Several kinds of pod share these parts: names, labels, confinement, networks."""

from collections.abc import Mapping, Sequence
from typing import Any

from deploy.docker import volumes

Manifest = dict[str, Any]
PROJECT = "mercado-veiculo"
"""The namespace, the document with all secrets and the label of all pods have this name."""
DATABASE, POOLER, BROKER = "db", "pgbouncer", "rabbitmq"
POOLED = f"{POOLER}:5432"
AUTHORITY = "db-server"
"""Clients trust the `ca.crt` of this secret; cert-manager adds it to each certificate."""
RELEASE = "release"
"""This placeholder stands for the release's name, which overlays replace."""
USER = 999
"""The user `mercado` of the image has this id. Kubernetes cannot check that a name is not root."""
GRACE_SECONDS = 130
"""It is longer than LEAVE_SECONDS and a service's time to finish in compose.yaml together."""
NAME = "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"
PART_OF = "app.kubernetes.io/part-of"
MOUNTED = str(volumes.SECRETS)
AMQPS, MANAGEMENT, FIGURES = 5671, 15671, 15691
POSTGRES = 5432
MONITORING, INGRESS, KEDA = "monitoring", "ingress-nginx", "keda"
"""The cluster's own components are in these namespaces."""
CONFINED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
TMP_MOUNT = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108  # nosec B108
TMP = {"name": "tmp", "emptyDir": {"sizeLimit": "128Mi"}}


def confined_pod(user: int = USER) -> Manifest:
    return {
        "serviceAccountName": "workload",
        "automountServiceAccountToken": False,
        # Otherwise Kubernetes would name every service in variables such as PORTAL_PORT.
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def disruption_budget(name: str, labels: Mapping[str, str]) -> Manifest:
    """Let one pod end at a time: with a minimum number, a node with the only pod never drains."""
    spec = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": dict(labels)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return manifest("policy/v1", "PodDisruptionBudget", name, spec)


def network_policy(
    name: str,
    labels: Mapping[str, str],
    ingress: Sequence[Manifest],
    egress: Sequence[Manifest] | None,
) -> Manifest:
    """Return a policy in addition to that of `network.yaml` for all pods. If `egress` is None, the
    policy does not limit outgoing traffic.
    """
    return manifest(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        name,
        {
            "podSelector": {"matchLabels": dict(labels)},
            "policyTypes": ["Ingress", *([] if egress is None else ["Egress"])],
            **({"ingress": list(ingress)} if ingress else {}),
            **({} if egress is None else {"egress": list(egress)}),
        },
    )


SERVER_PODS: Mapping[str, tuple[Mapping[str, str], tuple[int, ...]]] = {
    DATABASE: ({"cnpg.io/cluster": DATABASE, "cnpg.io/podRole": "instance"}, (POSTGRES,)),
    POOLER: ({"cnpg.io/poolerName": POOLER}, (POSTGRES,)),
    BROKER: ({NAME: BROKER}, (AMQPS, MANAGEMENT)),
}


def to_server(server: str) -> Manifest:
    labels, ports = SERVER_PODS[server]
    return {"to": [{"podSelector": {"matchLabels": dict(labels)}}], "ports": ports_of(*ports)}


def pods_of(name: str, component: str) -> Manifest:
    return {"podSelector": {"matchLabels": labels_of(name, component)}}


def pods_of_namespace(name: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def ports_of(*numbers: int) -> list[Manifest]:
    return [{"protocol": "TCP", "port": each} for each in numbers]


def labels_of(name: str, component: str) -> dict[str, str]:
    return {NAME: name, COMPONENT: component}


def environment_of(settings: Mapping[str, str]) -> list[Manifest]:
    return [{"name": name, "value": settings[name]} for name in sorted(settings)]


def resources(cpu: str, memory: str, most_cpu: str, most_memory: str) -> Manifest:
    return {
        "requests": {"cpu": cpu, "memory": memory},
        "limits": {"cpu": most_cpu, "memory": most_memory},
    }


def manifest(version: str, kind: str, name: str, spec: Mapping[str, Any]) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def data_manifest(kind: str, name: str, data: Mapping[str, str]) -> Manifest:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": dict(data)}
