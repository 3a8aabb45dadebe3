"""The manifests that follow from the code: workloads of every service, their secrets and networks,
the jobs that prepare the servers, and what monitors them.

Names, ports, settings, secrets, events and dashboards come from the same places as in every other
installation. `./taskw kubernetes` writes `base/written/`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from deploy.docker import volumes
from deploy.installation import ADMINISTRATOR, CHOREOGRAPHY, EXPORTER, SUPERUSER, VHOST
from deploy.observability.configuration import QUERIES, Targets, scrapes
from deploy.observability.dashboards import DASHBOARDS, as_json
from deploy.passwords import Passwords
from deploy.secret_settings import SECRETS
from deploy.services import SERVICES, ServiceSpec
from libs.messaging.saga.choreography import DescribedParticipant, read

Manifest = dict[str, Any]
Role = Literal["api", "worker", "relay"]
ROLES: tuple[Role, ...] = ("api", "worker", "relay")
Kind = Literal["password", "key", "keys"]
ALL_KEYS = "all"

PROJECT = "mercado-veiculo"
"""The namespace, the name of the document with all secrets, and the label of all pods.
"""
STORE = "secrets"
KEEPS_LEDGER = "customers"
"""The service that stores a file: the list of erased customers."""
DATABASE, POOLER, BROKER = "db", "pgbouncer", "rabbitmq"
POOLED = f"{POOLER}:5432"
STANDBY = f"{DATABASE}-ro:5432"
"""The standbys, by the service that CloudNativePG makes for them."""
AUTHORITY = "db-server"
"""The secret whose `ca.crt` clients trust; cert-manager adds it to each certificate."""
RELEASE = "release"
"""The placeholder for the release's name, which overlays replace."""
USER = 999
"""The id of the user `mercado` in the image. Kubernetes cannot check that a name is not root."""
LEAVE_SECONDS = 5
"""Requests still arrive until the rest of the cluster knows that a pod ends."""
GRACE_SECONDS = 130
"""Longer than LEAVE_SECONDS plus the time that compose.yaml gives a service to finish its work."""
NAME = "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"
PART_OF = "app.kubernetes.io/part-of"
MOUNTED = str(volumes.SECRETS)
AMQPS, MANAGEMENT, FIGURES = 5671, 15671, 15691
POSTGRES = 5432
EXPORTER_PORT = 9187
EXPORTER_IMAGE = "prometheuscommunity/postgres-exporter:v0.18.1"
MONITORING, INGRESS, KEDA = "monitoring", "ingress-nginx", "keda"
"""The namespaces of the cluster's own components."""


class Placeholders(Passwords):
    """Returns for each secret the placeholder of its value in an ExternalSecret's template."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self.asked: dict[str, Kind] = {}
        """The kind of each secret, by its entry in the document of all secrets."""

    def password(self, name: str) -> str:
        self._names.append(name)
        return self._place(entry(name), "password")

    def readable(self, name: str) -> str:
        self._names.append(name)
        return self._place(entry(name), "password")

    def key(self, name: str) -> str:
        return self._place(entry(name), "key")

    def keys(self, name: str) -> dict[str, str]:
        """One entry holds all keys, in the form of DATA_KEYS, because they are rotated there."""
        return {ALL_KEYS: self._place(f"{entry(name)}_keys", "keys")}

    def document(self) -> dict[str, str]:
        """The requested secrets, in the form of the file of a `Passwords`."""
        return {name: _place(entry(name)) for name in self._names}

    def _place(self, name: str, kind: "Kind") -> str:
        self.asked[name] = kind
        return _place(name)


def entry(name: str) -> str:
    """The entry of a secret in the document of all secrets."""
    return re.sub(r"\W", "_", name)


def _place(name: str) -> str:
    return f"{{{{ .{name} }}}}"


def entries() -> dict[str, Kind]:
    """All entries that the document of all secrets must have."""
    passwords = Placeholders()
    for spec in SERVICES:
        for role in ROLES:
            settings_of(spec, role, passwords)
    for job in ("databases", "broker"):
        volumes.ask_for(job, volumes.installation(passwords))
    return dict(sorted(passwords.asked.items()))


def written(alerts: Mapping[str, Any]) -> dict[str, list[Manifest]]:
    """The manifests by the name of their file. `alerts` is the content of `alerts.yml`."""
    participants = {each.name: each for each in read(CHOREOGRAPHY).participants}
    made = {
        **{spec.name: _service(spec, participants[spec.name]) for spec in SERVICES},
        "jobs": [*_job("databases", [DATABASE]), *_job("broker", [BROKER]), *_administrator()],
        "watching": _watching(alerts),
        "dashboards": _dashboards(),
    }
    return {**made, "servers": _clients([each for file in made.values() for each in file])}


def roles_of(participant: DescribedParticipant) -> list[Role]:
    """The roles for which the service has work. Every service answers requests."""
    roles: list[Role] = ["api"]
    if participant.reacts_to:
        roles.append("worker")
    if participant.publishes:
        roles.append("relay")
    return roles


def settings_of(spec: ServiceSpec, role: Role, passwords: Passwords) -> dict[str, str]:
    """The environment of a service's process, with the secrets that this role needs."""
    found = replace(volumes.installation(passwords), standby=STANDBY)
    if role != "relay":  # a relay needs NOTIFY, which does not work through a pooler
        found = replace(found, pgbouncer=POOLED)
    settings = found.settings(spec, "0.0.0.0", spec.port)  # noqa: S104  # nosec B104
    unused = set() if role == "api" else {"CURSOR_SECRET", "DATABASE_READ_URL"}
    if not spec.is_portal and role != "relay":  # the portal shows the broker, a relay its bindings
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


def _service(spec: ServiceSpec, participant: DescribedParticipant) -> list[Manifest]:
    roles = roles_of(participant)
    made = [
        _k8s(
            "v1",
            "Service",
            spec.name,
            {
                "selector": _labels(spec.name, "api"),
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
            _budget(name, _labels(spec.name, role)),
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
        _TMP_MOUNT,
    ]
    storage: list[Manifest] = []
    if "ERASURE_LEDGER" in settings and role == "api":
        folder = str(Path(settings["ERASURE_LEDGER"]).parent)
        mounts.append({"name": "files", "mountPath": folder})
        storage.append({"name": "files", "persistentVolumeClaim": {"claimName": "files"}})
    environment = _environment({**settings, **files})
    common = {"image": f"{spec.name}:{RELEASE}", "securityContext": _CONFINED}
    container = {
        "name": spec.name,
        **common,
        "command": ["python", "-m", f"services.{spec.name}.main"],
        "envFrom": [{"configMapRef": {"name": "settings"}}],
        "env": environment,
        "ports": [{"name": "http", "containerPort": spec.port}],
        **_probes(role),
        "resources": _resources("100m", "192Mi", "1", "512Mi"),
        "volumeMounts": mounts,
    }
    if role == "api":
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": LEAVE_SECONDS}}}
    waiting = {
        "name": "wait-for-migrations",
        **common,
        "command": ["python", "-m", "deploy.kubernetes", "wait", spec.name],
        "env": [each for each in environment if each["name"] in ("DATABASE_URL_FILE", "TLS")],
        "resources": _resources("50m", "128Mi", "1", "256Mi"),
        "volumeMounts": mounts[:2],
    }
    pod = {
        **_pod(),
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": _labels(spec.name, role)},
                "matchLabelKeys": ["pod-template-hash"],
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
        "initContainers": [waiting],
        "containers": [container],
        "volumes": [_secrets_volume(name, names), _TMP, *storage],
    }
    scaled = {} if role == "worker" else {"replicas": 2}  # KEDA sets the number of workers
    return _k8s(
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
            "selector": {"matchLabels": _labels(spec.name, role)},
            "template": {
                "metadata": {"labels": {**_labels(spec.name, role), PART_OF: PROJECT}},
                "spec": pod,
            },
        },
    )


def _probes(role: Role) -> dict[str, Manifest]:
    """A pod that answers requests is asked only once whether it is ready. A later failure affects
    all pods of its kind, because they share their servers: if all were taken out, nobody would get
    an answer, not even one that says why.
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
    """Splits a process's settings into plain ones and the sources of secret ones."""
    passwords = Placeholders()
    settings = settings_of(spec, role, passwords)
    secrets = {name: settings.pop(name) for name in SECRETS if name in settings}
    return settings, _external_secret(f"{spec.name}-{role}", passwords, secrets)


def _scaling(spec: ServiceSpec) -> list[Manifest]:
    """Scales workers by the number of messages in their queues. Each service's queues are read as
    its own user.
    """
    name = f"{spec.name}-worker"
    passwords = Placeholders()
    account = f"{spec.name}:{passwords.password(f'rabbitmq {spec.name}')}"
    host = f"https://{account}@{BROKER}.{PROJECT}.svc:{MANAGEMENT}/{VHOST}"
    secret = _external_secret(f"{spec.name}-scaler", passwords, {"host": host})
    return [
        secret,
        _k8s(
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
        _k8s(
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
    """A pattern of the queues that a service's workers consume, without its dead-letter queue."""
    return rf"^{service}\.on\."


def _network(spec: ServiceSpec, role: Role) -> Manifest:
    """The policy of this pod: who may connect to it, and where it may connect besides DNS."""
    port = _ports(spec.port)
    ingress = [{"from": [_namespace(MONITORING)], "ports": port}]
    egress = [_to(DATABASE) if role == "relay" else _to(POOLER)]
    reads_from_standby = spec.is_portal and role == "api"
    if reads_from_standby or (spec.has_reader and role != "relay"):
        egress.append(_to(DATABASE))
    if spec.is_portal or role != "api":
        egress.append(_to(BROKER))
    if role == "api":
        callers = [_pods(each.name, "api") for each in SERVICES if each != spec]
        if not spec.is_portal:
            [portal] = [each for each in SERVICES if each.is_portal]
            callers = [_pods(portal.name, each) for each in ("api", "worker")]
            egress.append({"to": [_pods(portal.name, "api")], "ports": _ports(portal.port)})
        ingress.append({"from": callers, "ports": port})
    if spec.is_portal:
        egress += [
            {"to": [_pods(each.name, "api")], "ports": _ports(each.port)}
            for each in SERVICES
            if not each.is_portal
        ]
        if role == "api":
            ingress.append({"from": [_namespace(INGRESS)], "ports": port})
    return _policy(f"{spec.name}-{role}", _labels(spec.name, role), ingress, egress)


def _clients(manifests: Sequence[Manifest]) -> list[Manifest]:
    """The clients of the servers: the pods whose own policies name them."""
    policies = [each["spec"] for each in manifests if each["kind"] == "NetworkPolicy"]
    made = []
    for server, (labels, ports) in _SERVERS.items():
        clients = [
            {"podSelector": each["podSelector"]}
            for each in policies
            if _to(server) in each["egress"]
        ]
        ingress = [{"from": clients, "ports": _ports(*ports)}]
        made.append(_policy(f"{server}-clients", labels, ingress, None))
    return made


def _job(name: str, servers: Sequence[str]) -> list[Manifest]:
    """A job of one release: a job cannot be changed, so each release has its own. Running it again
    changes nothing.
    """
    passwords = Placeholders()
    volumes.ask_for(name, volumes.installation(passwords))
    document = json.dumps(passwords.document(), indent=1, sort_keys=True) + "\n"
    labels = _labels(name, "job")
    pod = {
        **_pod(),
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "containers": [
            {
                "name": name,
                "image": f"{name}:{RELEASE}",
                "args": [name],
                "envFrom": [{"configMapRef": {"name": "settings"}}],
                "securityContext": _CONFINED,
                "resources": _resources("100m", "192Mi", "1", "512Mi"),
                "volumeMounts": [
                    {"name": "secrets", "mountPath": MOUNTED, "readOnly": True},
                    _TMP_MOUNT,
                ],
            }
        ],
        "volumes": [_secrets_volume(f"{name}-job", [], whole="secrets.json"), _TMP],
    }
    return [
        _k8s(
            "batch/v1",
            "Job",
            f"{name}-{RELEASE}",
            {
                "backoffLimit": 30,
                "ttlSecondsAfterFinished": 7 * 24 * 3600,
                "template": {"metadata": {"labels": {**labels, PART_OF: PROJECT}}, "spec": pod},
            },
        ),
        _external_secret(f"{name}-job", passwords, {"secrets.json": document}),
        _policy(f"{name}-job", labels, [], [_to(each) for each in servers]),
    ]


def _administrator() -> list[Manifest]:
    """Accounts that the operators create: RabbitMQ's administrator and Postgres' superuser."""
    administrator, postgres = Placeholders(), Placeholders()
    password = administrator.password(f"rabbitmq {ADMINISTRATOR}")
    broker = {
        "username": ADMINISTRATOR,
        "password": password,
        "default_user.conf": f"default_user = {ADMINISTRATOR}\ndefault_pass = {password}\n",
        "host": f"{BROKER}.{PROJECT}.svc",
        "port": str(AMQPS),
        "provider": "rabbitmq",
        "type": "rabbitmq",
    }
    superuser = {"username": SUPERUSER, "password": postgres.password(SUPERUSER)}
    return [
        _external_secret("rabbitmq-administrator", administrator, broker),
        _external_secret(
            "db-superuser", postgres, superuser, kind="kubernetes.io/basic-auth", reload=True
        ),
    ]


def _watching(alerts: Mapping[str, Any]) -> list[Manifest]:
    ours = {"matchLabels": {PART_OF: PROJECT}}
    exporter = _labels("exporter", "figures")
    trusted = {"ca": {"secret": {"name": AUTHORITY, "key": "ca.crt"}}}
    targets = Targets(services={}, rabbitmq="", postgres="", vhost=VHOST)
    return [
        _k8s(
            "monitoring.coreos.com/v1",
            "PodMonitor",
            "services",
            {
                "selector": ours,
                "jobLabel": NAME,
                "podTargetLabels": [COMPONENT],
                "podMetricsEndpoints": [{"port": "http", "path": "/metrics", "interval": "15s"}],
            },
        ),
        _k8s(
            "monitoring.coreos.com/v1",
            "PodMonitor",
            BROKER,
            {
                "selector": {"matchLabels": {NAME: BROKER}},
                "podMetricsEndpoints": [
                    {
                        "port": "prometheus-tls",
                        "scheme": "https",
                        "tlsConfig": {**trusted, "serverName": f"{BROKER}.{PROJECT}.svc"},
                        "interval": "15s",
                        "path": each.get("metrics_path", "/metrics"),
                        **({"params": each["params"]} if "params" in each else {}),
                        "relabelings": [{"targetLabel": "job", "replacement": each["job_name"]}],
                    }
                    for each in scrapes(targets)
                    if each["job_name"].startswith(BROKER)
                ],
            },
        ),
        _k8s(
            "monitoring.coreos.com/v1",
            "PodMonitor",
            "exporter",
            {
                "selector": {"matchLabels": exporter},
                "podMetricsEndpoints": [
                    {
                        "port": "figures",
                        "interval": "15s",
                        "relabelings": [{"targetLabel": "job", "replacement": "postgres"}],
                    }
                ],
            },
        ),
        _k8s("monitoring.coreos.com/v1", "PrometheusRule", "alerts", dict(alerts)),
        _k8s_data("ConfigMap", "exporter-queries", {QUERIES.name: QUERIES.read_text()}),
        *_exporter(exporter),
    ]


def _exporter(labels: Mapping[str, str]) -> list[Manifest]:
    """The exporter of Postgres' metrics, as compose.yaml starts it."""
    trusted = f"sslmode=verify-full&sslrootcert={MOUNTED}/{volumes.AUTHORITY}/ca.pem"
    place = f"{DATABASE}:{POSTGRES}/postgres?{trusted}"
    passwords = Placeholders()
    secret = {"password": passwords.password(EXPORTER)}
    pod = {
        **_pod(65534),
        "terminationGracePeriodSeconds": 30,
        "containers": [
            {
                "name": "exporter",
                "image": EXPORTER_IMAGE,
                "args": [
                    "--auto-discover-databases",
                    "--exclude-databases=template0,template1",
                    f"--extend.query-path=/etc/exporter/{QUERIES.name}",
                ],
                "env": _environment(
                    {
                        "DATA_SOURCE_URI": place,
                        "DATA_SOURCE_USER": EXPORTER,
                        "DATA_SOURCE_PASS_FILE": f"{MOUNTED}/password",
                    }
                ),
                "ports": [{"name": "figures", "containerPort": EXPORTER_PORT}],
                "readinessProbe": {
                    "httpGet": {"path": "/", "port": "figures"},
                    "timeoutSeconds": 5,
                },
                "livenessProbe": {"httpGet": {"path": "/", "port": "figures"}, "timeoutSeconds": 5},
                "securityContext": _CONFINED,
                "resources": _resources("50m", "64Mi", "500m", "256Mi"),
                "volumeMounts": [
                    {"name": "secrets", "mountPath": MOUNTED, "readOnly": True},
                    {"name": "queries", "mountPath": "/etc/exporter", "readOnly": True},
                ],
            }
        ],
        "volumes": [
            _secrets_volume("exporter", [], whole="password"),
            {"name": "queries", "configMap": {"name": "exporter-queries"}},
        ],
    }
    port = _ports(EXPORTER_PORT)
    return [
        _k8s(
            "apps/v1",
            "Deployment",
            "exporter",
            {
                "replicas": 1,
                "selector": {"matchLabels": dict(labels)},
                "template": {"metadata": {"labels": {**labels, PART_OF: PROJECT}}, "spec": pod},
            },
        ),
        _external_secret("exporter", passwords, secret),
        _policy(
            "exporter", labels, [{"from": [_namespace(MONITORING)], "ports": port}], [_to(DATABASE)]
        ),
    ]


def _dashboards() -> list[Manifest]:
    """Grafana's sidecar finds the dashboards by their label."""
    made = []
    for each in DASHBOARDS:
        manifest = _k8s_data(
            "ConfigMap", f"dashboard-{each.uid}", {f"{each.uid}.json": _text(as_json(each))}
        )
        manifest["metadata"]["labels"] = {"grafana_dashboard": "1"}
        made.append(manifest)
    return made


_CONFINED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_TMP_MOUNT = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108  # nosec B108
_TMP = {"name": "tmp", "emptyDir": {"sizeLimit": "128Mi"}}


def _pod(user: int = USER) -> Manifest:
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


def _secrets_volume(secret: str, settings: Sequence[str], *, whole: str = "") -> Manifest:
    """Mounts secrets as compose.yaml does: those of this pod alone, and the authority it trusts. A
    change of either reaches the files while the pod runs.
    """
    items = [{"key": each, "path": f"{volumes.SETTINGS}/{each}"} for each in settings]
    items += [{"key": whole, "path": whole}] if whole else []
    authority = [{"key": "ca.crt", "path": f"{volumes.AUTHORITY}/ca.pem"}]
    return {
        "name": "secrets",
        "projected": {
            "defaultMode": 0o440,
            "sources": [
                {"secret": {"name": secret, "items": items}},
                {"secret": {"name": AUTHORITY, "items": authority}},
            ],
        },
    }


def _external_secret(
    name: str,
    passwords: Placeholders,
    data: Mapping[str, str],
    *,
    kind: str = "Opaque",
    reload: bool = False,
) -> Manifest:
    """`data` are templates over the secrets requested from `passwords`. CloudNativePG notices a
    change of a secret marked for `reload`.
    """
    template: Manifest = {"engineVersion": "v2", "type": kind, "data": dict(data)}
    needed = [each for each in sorted(passwords.asked) if _place(each) in " ".join(data.values())]
    if reload:
        template["metadata"] = {"labels": {"cnpg.io/reload": ""}}
    return _k8s(
        "external-secrets.io/v1",
        "ExternalSecret",
        name,
        {
            "refreshInterval": "1m",
            "secretStoreRef": {"kind": "SecretStore", "name": STORE},
            "target": {"name": name, "template": template},
            "data": [
                {"secretKey": each, "remoteRef": {"key": PROJECT, "property": each}}
                for each in needed
            ],
        },
    )


def _budget(name: str, labels: Mapping[str, str]) -> Manifest:
    """One pod at a time. With a minimum number, a node with the only pod could never be drained."""
    spec = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": dict(labels)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return _k8s("policy/v1", "PodDisruptionBudget", name, spec)


def _policy(
    name: str,
    labels: Mapping[str, str],
    ingress: Sequence[Manifest],
    egress: Sequence[Manifest] | None,
) -> Manifest:
    """In addition to what `network.yaml` says of all pods. None: the policy does not limit outgoing
    traffic.
    """
    return _k8s(
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


_SERVERS: Mapping[str, tuple[Mapping[str, str], tuple[int, ...]]] = {
    DATABASE: ({"cnpg.io/cluster": DATABASE, "cnpg.io/podRole": "instance"}, (POSTGRES,)),
    POOLER: ({"cnpg.io/poolerName": POOLER}, (POSTGRES,)),
    BROKER: ({NAME: BROKER}, (AMQPS, MANAGEMENT)),
}


def _to(server: str) -> Manifest:
    labels, ports = _SERVERS[server]
    return {"to": [{"podSelector": {"matchLabels": dict(labels)}}], "ports": _ports(*ports)}


def _pods(name: str, component: str) -> Manifest:
    return {"podSelector": {"matchLabels": _labels(name, component)}}


def _namespace(name: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _ports(*numbers: int) -> list[Manifest]:
    return [{"protocol": "TCP", "port": each} for each in numbers]


def _labels(name: str, component: str) -> dict[str, str]:
    return {NAME: name, COMPONENT: component}


def _environment(settings: Mapping[str, str]) -> list[Manifest]:
    return [{"name": name, "value": settings[name]} for name in sorted(settings)]


def _resources(cpu: str, memory: str, most_cpu: str, most_memory: str) -> Manifest:
    return {
        "requests": {"cpu": cpu, "memory": memory},
        "limits": {"cpu": most_cpu, "memory": most_memory},
    }


def _k8s(version: str, kind: str, name: str, spec: Mapping[str, Any]) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def _k8s_data(kind: str, name: str, data: Mapping[str, str]) -> Manifest:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": dict(data)}


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"
