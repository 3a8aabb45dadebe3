"""compose.yaml gives its containers few rights, their own secrets only, and the
settings of `.env`.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from deploy.docker.volumes import HANDED, OWN, RABBITMQ_SETTINGS, SECRETS
from deploy.installation import ROOT
from deploy.services import SERVICES
from libs.messaging.inbox import subscriber
from libs.messaging.outbox import wakeup
from libs.messaging.relay.settings import RelaySettings
from libs.messaging.schema import partitions
from libs.runtime import running
from libs.runtime.settings import ServiceSettings
from tests.fixtures.compose import composed, copy_compose, with_compose
from tests.fixtures.containers import IMAGES
from tests.unit.deploy.test_env_example import settings_of

BUILT = ("secrets", *HANDED, *(spec.name for spec in SERVICES))
DECIDED = {
    *("SERVICE", "HOST", "CHOREOGRAPHY", "CURSOR_SECRET", "OUTBOX_RETENTION_DAYS"),
    *("DATABASE_URL", "DB_URL", "DB_PASSWORD", "READER_DATABASE_URL", "DATABASE_READ_URL"),
    *("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", "POSTGRES_HOST", "POSTGRES_PORT"),
    *("RABBITMQ_URL", "RABBITMQ_MANAGEMENT_URL", "RABBITMQ_OPERATOR_URL"),
    *("DATA_KEYS", "INDEX_KEY", "ERASURE_LEDGER", "MAILER", "JWKS_URL"),
    *(f"{spec.name.upper()}_URL" for spec in SERVICES),
}
"""The installation sets these, as in local runs."""
SHARED = {"data": "db"}
"""The first is a job that prepares what the second runs with."""

pytestmark = with_compose


@pytest.fixture(scope="module")
def containers() -> dict[str, Any]:
    found: dict[str, Any] = composed()["services"]
    return found


def test_no_container_can_do_or_take_more_than_it_needs(containers: dict[str, Any]) -> None:
    for name, each in containers.items():
        assert each["cap_drop"] == ["ALL"], name
        assert each["security_opt"] == ["no-new-privileges"], name
        assert each.get("read_only") or name == "tests", name
        assert int(each["mem_limit"]) > 0, name
        assert each["pids_limit"] > 0, name
        assert each["ulimits"]["nofile"] > 0, name
        assert {"max-size", "max-file"} <= each["logging"]["options"].keys(), name
        assert all(":size=" in place for place in each["tmpfs"]), name
        assert all(port["host_ip"] == "127.0.0.1" for port in each.get("ports", ())), name


def test_no_container_runs_as_root(containers: dict[str, Any]) -> None:
    dockerfile = (ROOT / "deploy/docker/Dockerfile").read_text()
    images = re.split(r"^FROM .* AS (\w+)", dockerfile, flags=re.MULTILINE)[1:]
    users = {
        target: re.findall(r"^USER (\w+)$", steps, re.MULTILINE)[-1:]
        for target, steps in zip(images[::2], images[1::2], strict=True)
    }
    targets = {each["build"]["target"] for each in containers.values() if "build" in each}
    assert targets == {"run", "backup", "tests", "pgbouncer"}
    assert {target: users[target] for target in targets} == {
        "run": ["mercado"],
        "backup": ["mercado"],
        "tests": ["mercado"],
        "pgbouncer": ["nobody"],
    }
    others = {name: each["user"] for name, each in containers.items() if "user" in each}
    assert others == {
        "data": "postgres",
        "db": "postgres",
        "rabbitmq": "rabbitmq",
        "prometheus": "nobody",
        "grafana": "472:0",
        "jaeger": "10001",
        "exporter": "nobody",
    }


def test_nothing_of_the_machine_is_mounted(containers: dict[str, Any]) -> None:
    mounts = [mount for each in containers.values() for mount in each.get("volumes", ())]
    assert {mount["type"] for mount in mounts} == {"volume"}


def test_each_container_sees_its_own_secrets_only(containers: dict[str, Any]) -> None:
    handed = dict[str, str]()
    for name, each in containers.items():
        for mount in each.get("volumes", ()):
            if name == "secrets" and mount["source"].startswith("secrets-"):
                handed[mount["source"]] = mount["target"]
            elif mount["source"] == "secrets":
                assert name in ("secrets", "restore"), "a restore brings the keys back"
            elif mount["source"].startswith("secrets"):
                assert mount["source"] == f"secrets-{SHARED.get(name, name)}"
                assert mount["target"] == str(SECRETS)
                assert mount["read_only"], name
    assert handed == {
        f"secrets-{name}": str(OWN / name)
        for name in ("db", "rabbitmq", "pgbouncer", "prometheus", "grafana", "exporter", *BUILT)
        if name != "secrets"
    }


def test_the_commands_that_delete_the_system_leave_its_backups() -> None:
    found = composed()
    volumes = found["volumes"]
    assert [name for name, each in volumes.items() if each.get("external")] == ["backups"]
    assert volumes["backups"]["name"] == f"{found['name']}_backups"


def test_a_service_has_the_time_to_finish_what_it_has_in_hand(containers: dict[str, Any]) -> None:
    relay = RelaySettings()
    longest = (
        ServiceSettings.model_fields["shutdown_seconds"].default
        + 4 * subscriber.CLOSE_SECONDS
        + subscriber.FINISH_SECONDS
        + running.LOOP_STOP_SECONDS
        + relay.flush
        + relay.publish_timeout
        + wakeup.STOP_SECONDS
        + partitions.STOP_SECONDS
        + running.CLOSE_SECONDS
        + 10  # each part waits a second for tasks that ignore their cancellation
    )
    for spec in SERVICES:
        grace = containers[spec.name]["stop_grace_period"]
        minutes, seconds = re.fullmatch(r"(\d+)m(\d+)s", grace).groups()  # type: ignore[union-attr]
        assert int(minutes) * 60 + int(seconds) > longest


def test_the_broker_stops_taking_messages_before_its_memory_ends(
    containers: dict[str, Any],
) -> None:
    [megabytes] = re.findall(r"high_watermark.absolute = (\d+)MB", RABBITMQ_SETTINGS)
    assert int(megabytes) * 1_000_000 < 0.7 * int(containers["rabbitmq"]["mem_limit"])


@pytest.mark.parametrize("service", [spec.name for spec in SERVICES])
def test_a_setting_in_env_reaches_a_container_as_it_reaches_a_local_run(
    service: str, tmp_path: Path
) -> None:
    known = settings_of(service).keys() - DECIDED
    plain = composed()["services"][service]["environment"]
    assert plain.keys() == known
    copy_compose(tmp_path)
    (tmp_path / ".env").write_text("LOG_LEVEL=DEBUG\nPOSTGRES_PORT=5432\nDATABASE_URL=x\n")

    told = composed(tmp_path)["services"]

    assert plain["LOG_LEVEL"] is None
    assert told[service]["environment"]["LOG_LEVEL"] == "DEBUG"
    assert told[service]["environment"].keys() == plain.keys()
    assert [port["published"] for port in told["db"]["ports"]] == ["5433"]


def test_images_of_servers_are_chosen_by_the_variables_the_tests_read(tmp_path: Path) -> None:
    copy_compose(tmp_path)
    (tmp_path / ".env").write_text("POSTGRES_IMAGE=other/postgres:18\nRABBITMQ_IMAGE=other:4\n")

    plain, told = composed()["services"], composed(tmp_path)["services"]

    chosen = {name: told[name]["image"] for name in ("data", "db", "rabbitmq")}
    assert chosen == {"data": "other/postgres:18", "db": "other/postgres:18", "rabbitmq": "other:4"}
    for name in ("backup", "restore"):  # each uses the programs of that server
        assert told[name]["build"]["args"] == {"POSTGRES_IMAGE": "other/postgres:18"}
    assert plain["db"]["image"] == IMAGES["POSTGRES_IMAGE"]
    assert plain["rabbitmq"]["image"] == IMAGES["RABBITMQ_IMAGE"]


def test_the_tests_run_with_the_options_of_the_task(containers: dict[str, Any]) -> None:
    command = " ".join(
        f'"{word}"' if " " in word else word for word in containers["tests"]["command"]
    )
    assert f".venv/bin/pytest {command} {{{{" in (ROOT / "Taskfile.yml").read_text()
