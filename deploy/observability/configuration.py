"""Prometheus, Grafana and the Postgres exporter have these configuration files.

They are YAML files that contain JSON, which is valid YAML.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.observability.dashboards import DASHBOARDS, as_json

HERE = Path(__file__).parent
ALERTS, QUERIES = HERE / "alerts.yml", HERE / "queries.yml"
SHOWN = "shown"
"""The dashboards are in this folder, beside that of their provider."""


@dataclass(frozen=True)
class Targets:
    """These are the addresses of the metrics, as `HOST:PORT`; `services` by name. RabbitMQ's are at
    the port of its plugin `rabbitmq_prometheus`.
    """

    services: Mapping[str, str]
    rabbitmq: str
    postgres: str
    vhost: str


def write_prometheus(folder: Path, targets: Targets, *, every: str = "15s") -> None:
    """Write configuration and alert rules; `every` is the interval of scrapes and evaluations."""
    (folder / ALERTS.name).write_text(ALERTS.read_text())
    _write(folder / "prometheus.yml", _prometheus(targets, every))


def write_grafana(folder: Path, *, seen_as: Path, prometheus: str, jaeger: str) -> None:
    """Write Grafana's provisioning: the URLs of metrics and traces, and all dashboards. Grafana
    finds the folder at `seen_as`.
    """
    sources = [
        {"name": "Prometheus", "type": "prometheus", "uid": "prometheus", "url": prometheus},
        {"name": "Jaeger", "type": "jaeger", "uid": "jaeger", "url": jaeger},
    ]
    provider = {
        "name": "mercado-veiculo",
        "type": "file",
        "options": {"path": str(seen_as / SHOWN)},
    }
    _write(
        folder / "datasources" / "sources.yaml",
        {"apiVersion": 1, "datasources": [{**each, "access": "proxy"} for each in sources]},
    )
    _write(
        folder / "dashboards" / "provider.yaml",
        {"apiVersion": 1, "providers": [provider]},
    )
    shutil.rmtree(folder / SHOWN, ignore_errors=True)
    for dashboard in DASHBOARDS:
        _write(folder / SHOWN / f"{dashboard.uid}.json", as_json(dashboard))


def scrapes(targets: Targets) -> list[dict[str, Any]]:
    """Return what Prometheus scrapes, one job for each kind of metrics."""

    def job(name: str, *places: str, **more: Any) -> dict[str, Any]:
        return {"job_name": name, "static_configs": [{"targets": places}], **more}

    queues = {
        "family": ["queue_coarse_metrics", "queue_consumer_count", "queue_metrics"],
        "vhost": [targets.vhost],
    }
    return [
        *(job(name, place) for name, place in targets.services.items()),
        job("rabbitmq", targets.rabbitmq),
        job("rabbitmq-queues", targets.rabbitmq, metrics_path="/metrics/detailed", params=queues),
        job("postgres", targets.postgres),
    ]


def _prometheus(targets: Targets, every: str) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": [ALERTS.name],
        "scrape_configs": scrapes(targets),
    }


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2) + "\n")
