"""A service has a deployment for each role, with its secrets, scaling and network."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from deploy.docker import volumes
from deploy.installation import VHOST
from deploy.kubernetes.pieces import (
    AUTHORITY,
    BROKER,
    CONFINED,
    DATABASE,
    GRACE_SECONDS,
    INGRESS,
    MANAGEMENT,
    MONITORING,
    MOUNTED,
    PART_OF,
    POOLED,
    POOLER,
    PROJECT,
    RELEASE,
    TMP,
    TMP_MOUNT,
    Manifest,
    confined_pod,
    disruption_budget,
    environment_of,
    labels_of,
    manifest,
    network_policy,
    pods_of,
    pods_of_namespace,
    ports_of,
    resources,
    to_server,
)
from deploy.kubernetes.placeholders import ALL_KEYS, Placeholders, external_secret, secrets_volume
from deploy.passwords import Passwords
from deploy.secret_settings import SECRETS
from deploy.services import SERVICES, ServiceSpec
from libs.messaging.saga.choreography import DescribedParticipant

Role = Literal["api", "worker", "relay"]
ROLES: tuple[Role, ...] = ("api", "worker", "relay")
KEEPS_LEDGER = "customers"
"""This service stores a file: the list of erased customers."""
STANDBY = f"{DATABASE}-ro:5432"
"""CloudNativePG makes this service for the standbys."""
LEAVE_SECONDS = 5
"""Requests still arrive until the rest of the cluster knows that a pod ends."""


def roles_of(participant: DescribedParticipant) -> list[Role]:
    """Return the roles for which the service has work. Every service answers requests."""
    roles: list[Role] = ["api"]
    if participant.reacts_to:
        roles.append("worker")
    if participant.publishes:
        roles.append("relay")
    return roles


def settings_of(spec: ServiceSpec, role: Role, passwords: Passwords) -> dict[str, str]:
    """Return the environment of a service's process, with the secrets that this role needs."""
    found = replace(volumes.installation(passwords), standby=STANDBY)
    if role != "relay":  # a relay needs NOTIFY, which does not work through a pooler
        found = replace(found, pgbouncer=POOLED)
    settings = found.settings(spec, "0.0.0.0", spec.port)  # noqa: S104  # nosec B104
    unused = set() if role == "api" else {"CURSOR_SECRET", "DATABASE_READ_URL"}
    if not spec.is_portal and role != "relay":  # the portal shows it, a relay checks it
        unused.add("RABBITMQ_MANAGEMENT_URL")
    if not spec.is_portal and role == "api":
        unused.add("RABBITMQ_URL")
    settings = {name: value for name, value in settings.items() if name not in unused}
    settings |= {"ROLE": role, "TLS": "required"}
    if "DATA_KEYS" in settings:
        settings["DATA_KEYS"] = settings["DATA_KEYS"].removeprefix(f"{ALL_KEYS}:")
    if spec.name != KEEPS_LEDGER:
        settings.pop("ERASURE_LEDGER", None)
    if "MAILER" in settings:
        settings["MAILER"] = "off"  # every reader of the log could use the links
    if role == "api" and not spec.is_portal:
        settings |= {"AUTH": "on", "JWKS_URL": found.jwks_url}
    return settings


def service(spec: ServiceSpec, participant: DescribedParticipant) -> list[Manifest]:
    roles = roles_of(participant)
    made = [
        manifest(
            "v1",
            "Service",
            spec.name,
            {
                "selector": labels_of(spec.name, "api"),
                "ports": [{"name": "http", "port": spec.port, "targetPort": "http"}],
            },
        )
    ]
    for role in roles:
        name = f"{spec.name}-{role}"
        settings, secret = _split(spec, role)
        made += [
            _deployment(spec, role, settings, secret),
            secret,
            disruption_budget(name, labels_of(spec.name, role)),
            _network(spec, role),
        ]
        if role == "worker":
            made += _scaling(spec)
    return made


def _deployment(
    spec: ServiceSpec, role: Role, settings: Mapping[str, str], secret: Manifest
) -> Manifest:
    name = f"{spec.name}-{role}"
    names = list(secret["spec"]["target"]["template"]["data"])
    files = {f"{each}_FILE": f"{MOUNTED}/{volumes.SETTINGS}/{each}" for each in names}
    mounts: list[Manifest] = [
        {"name": "secrets", "mountPath": MOUNTED, "readOnly": True},
        TMP_MOUNT,
    ]
    storage: list[Manifest] = []
    if "ERASURE_LEDGER" in settings and role == "api":
        folder = str(Path(settings["ERASURE_LEDGER"]).parent)
        mounts.append({"name": "files", "mountPath": folder})
        storage.append({"name": "files", "persistentVolumeClaim": {"claimName": "files"}})
    environment = environment_of({**settings, **files})
    common = {"image": f"{spec.name}:{RELEASE}", "securityContext": CONFINED}
    container = {
        "name": spec.name,
        **common,
        "command": ["python", "-m", f"services.{spec.name}.main"],
        "envFrom": [{"configMapRef": {"name": "settings"}}],
        "env": environment,
        "ports": [{"name": "http", "containerPort": spec.port}],
        **_probes(role),
        "resources": resources("100m", "192Mi", "1", "512Mi"),
        "volumeMounts": mounts,
    }
    if role == "api":
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": LEAVE_SECONDS}}}
    waiting = {
        "name": "wait-for-migrations",
        **common,
        "command": ["python", "-m", "deploy.kubernetes", "wait", spec.name],
        "env": [each for each in environment if each["name"] in ("DATABASE_URL_FILE", "TLS")],
        "resources": resources("50m", "128Mi", "1", "256Mi"),
        "volumeMounts": mounts[:2],
    }
    pod = {
        **confined_pod(),
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": labels_of(spec.name, role)},
                "matchLabelKeys": ["pod-template-hash"],
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
        "initContainers": [waiting],
        "containers": [container],
        "volumes": [secrets_volume(name, names), TMP, *storage],
    }
    scaled = {} if role == "worker" else {"replicas": 2}  # KEDA sets the number of workers
    return manifest(
        "apps/v1",
        "Deployment",
        name,
        {
            **scaled,
            "revisionHistoryLimit": 5,
            "progressDeadlineSeconds": 900,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "selector": {"matchLabels": labels_of(spec.name, role)},
            "template": {
                "metadata": {"labels": {**labels_of(spec.name, role), PART_OF: PROJECT}},
                "spec": pod,
            },
        },
    )


def _probes(role: Role) -> dict[str, Manifest]:
    """Ask a pod that answers requests only once whether it is ready. A later failure affects all
    pods of its kind, because they share their servers: if all were taken out, nobody would get an
    answer, not even one that says why.
    """

    def probe(path: str, period: int, failures: int) -> Manifest:
        return {
            "httpGet": {"path": path, "port": "http"},
            "periodSeconds": period,
            "timeoutSeconds": 5,
            "failureThreshold": failures,
        }

    once, always = ("/ready", "/health") if role == "api" else ("/health", "/ready")
    return {
        "startupProbe": probe(once, 2, 150),
        "readinessProbe": probe(always, 5, 3),
        "livenessProbe": probe("/health", 10, 6),
    }


def _split(spec: ServiceSpec, role: Role) -> tuple[dict[str, str], Manifest]:
    """Split a process's settings into plain ones and the sources of secret ones."""
    passwords = Placeholders()
    settings = settings_of(spec, role, passwords)
    secrets = {name: settings.pop(name) for name in SECRETS if name in settings}
    return settings, external_secret(f"{spec.name}-{role}", passwords, secrets)


def _scaling(spec: ServiceSpec) -> list[Manifest]:
    """Scale workers by the number of messages in their queues. Each service's queues are read as
    its own user.
    """
    name = f"{spec.name}-worker"
    passwords = Placeholders()
    account = f"{spec.name}:{passwords.password(f'rabbitmq {spec.name}')}"
    host = f"https://{account}@{BROKER}.{PROJECT}.svc:{MANAGEMENT}/{VHOST}"
    secret = external_secret(f"{spec.name}-scaler", passwords, {"host": host})
    return [
        secret,
        manifest(
            "keda.sh/v1alpha1",
            "TriggerAuthentication",
            name,
            {
                "secretTargetRef": [
                    {"parameter": "host", "name": f"{spec.name}-scaler", "key": "host"},
                    {"parameter": "ca", "name": AUTHORITY, "key": "ca.crt"},
                ]
            },
        ),
        manifest(
            "keda.sh/v1alpha1",
            "ScaledObject",
            name,
            {
                "scaleTargetRef": {"name": name},
                "minReplicaCount": 2,
                "maxReplicaCount": 6,
                "pollingInterval": 15,
                "cooldownPeriod": 300,
                # While the broker does not answer, the usual number of workers runs.
                "fallback": {"failureThreshold": 4, "replicas": 2},
                "advanced": {
                    "horizontalPodAutoscalerConfig": {
                        "behavior": {
                            "scaleDown": {"stabilizationWindowSeconds": 300},
                        }
                    }
                },
                "triggers": [
                    {
                        "type": "rabbitmq",
                        "metadata": {
                            "protocol": "http",
                            "tls": "enable",
                            "mode": "QueueLength",
                            "value": "200",
                            "useRegex": "true",
                            "operation": "sum",
                            "queueName": queues_of(spec.name),
                        },
                        "authenticationRef": {"name": name},
                    }
                ],
            },
        ),
    ]


def queues_of(service: str) -> str:
    """Return a pattern of the queues that a service's workers consume, without dead letters."""
    return rf"^{service}\.on\."


def _network(spec: ServiceSpec, role: Role) -> Manifest:
    """Return this pod's policy: who may connect to it, and where it may connect besides DNS."""
    port = ports_of(spec.port)
    ingress = [{"from": [pods_of_namespace(MONITORING)], "ports": port}]
    egress = [to_server(DATABASE) if role == "relay" else to_server(POOLER)]
    reads_from_standby = spec.is_portal and role == "api"
    if reads_from_standby or (spec.has_reader and role != "relay"):
        egress.append(to_server(DATABASE))
    if spec.is_portal or role != "api":
        egress.append(to_server(BROKER))
    if role == "api":
        callers = [pods_of(each.name, "api") for each in SERVICES if each != spec]
        if not spec.is_portal:
            [portal] = [each for each in SERVICES if each.is_portal]
            callers = [pods_of(portal.name, each) for each in ("api", "worker")]
            egress.append({"to": [pods_of(portal.name, "api")], "ports": ports_of(portal.port)})
        ingress.append({"from": callers, "ports": port})
    if spec.is_portal:
        egress += [
            {"to": [pods_of(each.name, "api")], "ports": ports_of(each.port)}
            for each in SERVICES
            if not each.is_portal
        ]
        if role == "api":
            ingress.append({"from": [pods_of_namespace(INGRESS)], "ports": port})
    return network_policy(f"{spec.name}-{role}", labels_of(spec.name, role), ingress, egress)
