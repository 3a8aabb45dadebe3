"""Scrapes, alerts, an exporter and dashboards monitor the services and the servers."""

import json
from collections.abc import Mapping
from typing import Any

from deploy.docker import volumes
from deploy.installation import EXPORTER, VHOST
from deploy.kubernetes.pieces import (
    AUTHORITY,
    BROKER,
    COMPONENT,
    CONFINED,
    DATABASE,
    MONITORING,
    MOUNTED,
    NAME,
    PART_OF,
    POSTGRES,
    PROJECT,
    Manifest,
    confined_pod,
    data_manifest,
    environment_of,
    labels_of,
    manifest,
    network_policy,
    pods_of_namespace,
    ports_of,
    resources,
    to_server,
)
from deploy.kubernetes.placeholders import Placeholders, external_secret, secrets_volume
from deploy.observability.configuration import QUERIES, Targets, scrapes
from deploy.observability.dashboards import DASHBOARDS, as_json

EXPORTER_PORT = 9187
EXPORTER_IMAGE = "prometheuscommunity/postgres-exporter:v0.18.1"


def watching(alerts: Mapping[str, Any]) -> list[Manifest]:
    ours = {"matchLabels": {PART_OF: PROJECT}}
    exporter = labels_of("exporter", "figures")
    trusted = {"ca": {"secret": {"name": AUTHORITY, "key": "ca.crt"}}}
    targets = Targets(services={}, rabbitmq="", postgres="", vhost=VHOST)
    return [
        manifest(
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
        manifest(
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
        manifest(
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
        manifest("monitoring.coreos.com/v1", "PrometheusRule", "alerts", dict(alerts)),
        data_manifest("ConfigMap", "exporter-queries", {QUERIES.name: QUERIES.read_text()}),
        *_exporter(exporter),
    ]


def _exporter(labels: Mapping[str, str]) -> list[Manifest]:
    """Return the exporter of Postgres' metrics, as compose.yaml starts it."""
    trusted = f"sslmode=verify-full&sslrootcert={MOUNTED}/{volumes.AUTHORITY}/ca.pem"
    place = f"{DATABASE}:{POSTGRES}/postgres?{trusted}"
    passwords = Placeholders()
    secret = {"password": passwords.password(EXPORTER)}
    pod = {
        **confined_pod(65534),
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
                "env": environment_of(
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
                "securityContext": CONFINED,
                "resources": resources("50m", "64Mi", "500m", "256Mi"),
                "volumeMounts": [
                    {"name": "secrets", "mountPath": MOUNTED, "readOnly": True},
                    {"name": "queries", "mountPath": "/etc/exporter", "readOnly": True},
                ],
            }
        ],
        "volumes": [
            secrets_volume("exporter", [], whole="password"),
            {"name": "queries", "configMap": {"name": "exporter-queries"}},
        ],
    }
    port = ports_of(EXPORTER_PORT)
    return [
        manifest(
            "apps/v1",
            "Deployment",
            "exporter",
            {
                "replicas": 1,
                "selector": {"matchLabels": dict(labels)},
                "template": {"metadata": {"labels": {**labels, PART_OF: PROJECT}}, "spec": pod},
            },
        ),
        external_secret("exporter", passwords, secret),
        network_policy(
            "exporter",
            labels,
            [{"from": [pods_of_namespace(MONITORING)], "ports": port}],
            [to_server(DATABASE)],
        ),
    ]


def dashboards() -> list[Manifest]:
    """Return the dashboards. Grafana's sidecar finds them by their label."""
    made = []
    for each in DASHBOARDS:
        manifest = data_manifest(
            "ConfigMap", f"dashboard-{each.uid}", {f"{each.uid}.json": _text(as_json(each))}
        )
        manifest["metadata"]["labels"] = {"grafana_dashboard": "1"}
        made.append(manifest)
    return made


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"
