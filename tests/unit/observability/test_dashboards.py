"""Grafana can read the dashboards, and Prometheus can read their queries."""

import json
import subprocess
from pathlib import Path

import pytest

from deploy.observability.configuration import Targets, write_grafana, write_prometheus
from deploy.observability.dashboards import DASHBOARDS
from tests.fixtures.prometheus import metrics_of, program

TARGETS = Targets({"orders": "orders:8000"}, "rabbitmq:15692", "exporter:9187", "mercado")


def test_prometheus_reads_the_configuration_and_the_rules(tmp_path: Path) -> None:
    write_prometheus(tmp_path, TARGETS)
    done = subprocess.run(
        [program("promtool"), "check", "config", tmp_path / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "alerts.yml" in done.stdout


def test_prometheus_reads_the_query_of_each_panel(tmp_path: Path) -> None:
    queries = [
        query.replace("$__rate_interval", "5m").replace("$__range", "3h")
        for dashboard in DASHBOARDS
        for panel in dashboard.panels
        for query in panel.queries.values()
    ]
    assert len(queries) > 40
    rules = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(queries)]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        [program("promtool"), "check", "rules", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_finds_sources_provider_and_a_file_for_each_dashboard(tmp_path: Path) -> None:
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "of-an-earlier-release.json").touch()
    write_grafana(
        tmp_path, seen_as=Path("/seen"), prometheus="http://p:9090", jaeger="http://j:16686"
    )
    provider = json.loads((tmp_path / "dashboards" / "provider.yaml").read_text())
    assert provider["providers"][0]["options"]["path"] == "/seen/shown"
    sources = json.loads((tmp_path / "datasources" / "sources.yaml").read_text())["datasources"]
    known = {each["uid"]: each["url"] for each in sources}
    assert known == {"prometheus": "http://p:9090", "jaeger": "http://j:16686"}
    files = sorted(file.name for file in (tmp_path / "shown").iterdir())
    assert files == sorted(f"{each.uid}.json" for each in DASHBOARDS)
    for dashboard in DASHBOARDS:
        shown = json.loads((tmp_path / "shown" / f"{dashboard.uid}.json").read_text())
        places = [(each["gridPos"]["x"], each["gridPos"]["y"]) for each in shown["panels"]]
        assert len(set(places)) == len(places) == len(dashboard.panels)
        for panel in shown["panels"]:
            assert panel["datasource"]["uid"] in known
            assert panel["targets"]


@pytest.mark.parametrize(
    ("expression", "metrics"),
    [
        ("up == 0", {"up"}),
        ('sum by (a, b) (rate(x_total{queue=~"up.+"}[5m])) > bool 3', {"x_total"}),
        ("a / on (instance) group_left (b) c or vector(0)", {"a", "c"}),
        ("histogram_quantile(0.95, sum by (le) (rate(h_bucket[$__rate_interval])))", {"h_bucket"}),
        ("time() - max by (service) (k_seconds)", {"k_seconds"}),
    ],
)
def test_the_metrics_of_an_expression_are_found(expression: str, metrics: set[str]) -> None:
    assert metrics_of(expression) == metrics
