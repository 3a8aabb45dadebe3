"""The manifests agree with the code, with compose.yaml and with each other."""

import base64
import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from deploy.certificates import RENEWED_BEFORE_THE_END, SERVER
from deploy.docker.volumes import PLUGINS, installation
from deploy.installation import CHOREOGRAPHY
from deploy.kubernetes.pieces import GRACE_SECONDS, POOLED
from deploy.kubernetes.placeholders import Placeholders
from deploy.kubernetes.watching import EXPORTER_IMAGE
from deploy.kubernetes.workloads import (
    KEEPS_LEDGER,
    LEAVE_SECONDS,
    STANDBY,
    Role,
    queues_of,
    roles_of,
    settings_of,
)
from deploy.postgres import pgbouncer
from deploy.services import SERVICES, ServiceSpec
from libs.messaging.saga.choreography import read
from libs.messaging.topology import topology_of
from libs.runtime.settings import ServiceSettings, read_settings
from tests.kubernetes.__main__ import FOLDER, stale
from tests.kubernetes.policies import LONGEST_DRAIN, containers, of_kind, workloads
from tests.kubernetes.rendered import OVERLAYS, ROOT, rendered, with_kubectl

PARTICIPANTS = {each.name: each for each in read(CHOREOGRAPHY).participants}
PROCESSES = [(spec, role) for spec in SERVICES for role in roles_of(PARTICIPANTS[spec.name])]
CHECKOUT = ROOT.parents[1]


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHECKOUT / "compose.yaml").read_text())
    return found


def image_of(service: Mapping[str, Any]) -> str:
    """Return the image that is used when `.env` chooses none."""
    return re.sub(r"^\$\{\w+:-(.+)\}$", r"\1", service.get("image", ""))


def base(file: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / "base" / file).read_text()))


def test_the_written_manifests_say_what_the_code_says() -> None:
    assert [each.name for each in stale()] == [], "run ./taskw kubernetes"


def test_a_changed_a_missing_and_a_strange_file_are_named(tmp_path: Path) -> None:
    for file in FOLDER.iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    (tmp_path / "orders.yaml").write_text("changed\n")
    (tmp_path / "kpis.yaml").unlink()
    (tmp_path / "former.yaml").write_text("")

    assert [each.name for each in stale(tmp_path)] == ["former.yaml", "kpis.yaml", "orders.yaml"]


@pytest.mark.parametrize(
    ("spec", "role"), PROCESSES, ids=lambda it: it.name if isinstance(it, ServiceSpec) else it
)
def test_every_process_starts_with_the_settings_of_its_pod(
    spec: ServiceSpec, role: Role, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = base64.b64encode(bytes(32)).decode()
    for name, value in settings_of(spec, role, Placeholders()).items():
        if "{{" not in value:
            monkeypatch.setenv(name, value)
            continue
        made = {"DATA_KEYS": f"1:{key}", "INDEX_KEY": key}.get(name)
        (tmp_path / name).write_text(made or re.sub(r"{{ \.\w+ }}", "a" * 40, value))
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    module = importlib.import_module(f"services.{spec.name}.infrastructure.settings")
    [settings_type] = [
        each
        for each in vars(module).values()
        if isinstance(each, type)
        and issubclass(each, ServiceSettings)
        and each.__module__ == module.__name__
    ]

    settings = read_settings(settings_type)

    assert (settings.role, settings.port, settings.tls) == (role, spec.port, "required")
    assert settings.pgbouncer == (role != "relay"), "a relay listens for NOTIFY"
    assert settings.auth == ("on" if role == "api" and not spec.is_portal else "off")
    assert {f"{name}_FILE" for name in settings.read_from} >= {"database_url_FILE"}


def test_lists_and_figures_are_read_from_a_standby() -> None:
    standbys = {
        (spec.name, role): settings["DATABASE_READ_URL"].partition("@")[2].partition("/")[0]
        for spec, role in PROCESSES
        if "DATABASE_READ_URL" in (settings := settings_of(spec, role, Placeholders()))
    }

    assert standbys == dict.fromkeys([("kpis", "api"), ("portal", "api")], STANDBY)


def test_roles_without_work_have_no_pods() -> None:
    for spec in SERVICES:
        relay = ["relay"] if PARTICIPANTS[spec.name].publishes else []
        expected = ["api", "worker", *relay]
        assert roles_of(PARTICIPANTS[spec.name]) == expected, spec.name


def test_workers_are_counted_by_all_their_queues_and_by_no_dead_letters() -> None:
    queues = [each.name for each in topology_of(tuple(PARTICIPANTS.values())).queues]
    for spec in SERVICES:
        counted = {each for each in queues if re.search(queues_of(spec.name), each)}
        assert counted == {each.queue for each in PARTICIPANTS[spec.name].reacts_to}, spec.name


def test_a_pod_has_the_time_that_a_container_has() -> None:
    minutes = compose()["x-service"]["stop_grace_period"]
    assert minutes == f"{LONGEST_DRAIN // 60}m"
    assert GRACE_SECONDS > LONGEST_DRAIN + LEAVE_SECONDS


def test_one_service_keeps_files_as_in_compose() -> None:
    keepers = [
        spec.name
        for spec in SERVICES
        if any(
            volume.startswith("files:")
            for volume in compose()["services"][spec.name].get("volumes", [])
        )
    ]
    assert keepers == [KEEPS_LEDGER]


def test_servers_are_of_the_versions_of_compose() -> None:
    servers = {name: image_of(each) for name, each in compose()["services"].items()}
    [broker] = of_kind(base("rabbitmq.yaml"), "RabbitmqCluster")
    [cluster] = of_kind(base("postgres.yaml"), "Cluster")
    watching = yaml.safe_load((CHECKOUT / "deploy/observability/compose.yaml").read_text())
    postgres = servers["db"].partition(":")[2]

    assert broker["spec"]["image"] == servers["rabbitmq"]
    assert cluster["spec"]["imageName"].partition(":")[2].partition(".")[0] == postgres
    assert watching["services"]["exporter"]["image"] == EXPORTER_IMAGE


def test_pgbouncer_pools_as_elsewhere() -> None:
    [pooler] = of_kind(base("postgres.yaml"), "Pooler")
    elsewhere = dict(re.findall(r"^(\w+) = (\w+)$", pgbouncer.CONFIGURATION, re.MULTILINE))
    found = pooler["spec"]["pgbouncer"]

    assert found["poolMode"] == elsewhere["pool_mode"]
    assert found["parameters"].items() <= elsewhere.items()


def test_rabbitmq_has_the_plugins_it_has_elsewhere() -> None:
    [broker] = of_kind(base("rabbitmq.yaml"), "RabbitmqCluster")
    always = {"rabbitmq_management", "rabbitmq_prometheus"}  # the operator enables them
    elsewhere = set(re.findall(r"\w+", PLUGINS.read_text()))

    assert {*broker["spec"]["rabbitmq"]["additionalPlugins"], *always} == elsewhere


def test_certificates_bear_the_names_that_clients_use_and_last_as_elsewhere() -> None:
    hours = [f"{int(each.total_seconds()) // 3600}h" for each in (SERVER, RENEWED_BEFORE_THE_END)]
    found = {
        each["metadata"]["name"]: each["spec"]
        for each in of_kind(base("certificates.yaml"), "Certificate")
    }
    for server, urls in {
        "db-server": [installation(Placeholders()).postgres, POOLED, STANDBY],
        "rabbitmq-server": [installation(Placeholders()).rabbitmq, "rabbitmq.mercado-veiculo.svc:"],
    }.items():
        assert {url.partition(":")[0] for url in urls} <= set(found[server]["dnsNames"])
        assert [found[server]["duration"], found[server]["renewBefore"]] == hours


@with_kubectl
def test_all_connections_fit_into_the_database() -> None:
    documents = rendered("overlays/production")
    [cluster] = of_kind(documents, "Cluster")
    [pooler] = of_kind(documents, "Pooler")
    pool = pooler["spec"]["pgbouncer"]["parameters"]
    pooled = (int(pool["default_pool_size"]) + int(pool["reserve_pool_size"])) * len(SERVICES)
    relays = [each for each in workloads(documents) if each["metadata"]["name"].endswith("-relay")]
    direct = sum(each["spec"]["replicas"] for each in relays) * 10  # a relay opens fewer
    others = 100  # for the reader of kpis, jobs, the exporter and the operator

    most = int(cluster["spec"]["postgresql"]["parameters"]["max_connections"])
    assert pooled * pooler["spec"]["instances"] + direct + others <= most


@with_kubectl
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_names_the_image_and_the_release_of_every_workload(overlay: str) -> None:
    version = yaml.safe_load((ROOT / "overlays" / overlay / "release.yaml").read_text())
    ours = {spec.name for spec in SERVICES} | {"databases", "broker"}
    for workload in workloads(rendered(f"overlays/{overlay}")):
        for container in containers(workload):
            if container["name"] != "exporter":
                name, _, tag = container["image"].rpartition(":")
                assert tag == version["data"]["version"], workload["metadata"]["name"]
                assert name not in ours, f"{workload['metadata']['name']}: no image is named"


@with_kubectl
def test_two_releases_share_no_job() -> None:
    names = {each["metadata"]["name"] for each in of_kind(rendered("overlays/local"), "Job")}
    others = {each["metadata"]["name"] for each in of_kind(rendered("overlays/production"), "Job")}

    assert names == {"databases-local", "broker-local"}
    assert others == {"databases-v1", "broker-v1"}
