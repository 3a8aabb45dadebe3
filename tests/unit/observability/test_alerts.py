"""Each alert fires while its condition holds, and clears afterwards."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from deploy.observability.configuration import ALERTS
from libs.messaging.view_queues import VIEW_QUEUE_BYTES
from tests.fixtures.prometheus import program

OUTBOX = {"service": "orders", "instance": "orders:8000"}


def series(name: str, **labels: str) -> str:
    return name + "{" + ", ".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


@dataclass(frozen=True)
class Case:
    """A `Case` has samples a minute by series, in promtool's notation. `quiet`, `fires` and `clear`
    are the minutes after which the alert does not fire yet, fires, and no longer fires.
    """

    samples: Mapping[str, str]
    quiet: int
    fires: int
    clear: int


QUEUE = "rabbitmq_detailed_queue_messages_ready"
CONSUMERS = "rabbitmq_detailed_queue_consumers"
ROUND_TRIP = "database_round_trip_seconds"
CASES = {
    "ServiceDown": Case({series("up", job="orders", instance="a"): "1x5 0x5 1x20"}, 6, 8, 12),
    # A statement runs each second: 10 ms each, then 200 ms, then 10 ms again.
    "HealthLatency": Case(
        {
            series(f"{ROUND_TRIP}_sum", job="orders"): "0+0.6x10 18+12x10 138.6+0.6x20",
            series(f"{ROUND_TRIP}_count", job="orders"): "0+60x42",
        },
        10,
        20,
        30,
    ),
    "ConnectionsFail": Case(
        {series("connection_failures_total", job="orders", part="relay"): "0x5 2+2x3 8x20"},
        5,
        9,
        16,
    ),
    "HttpErrors": Case(
        {
            series("http_server_errors_total", job="orders", route="/orders"): "0x10 2+2x15 32x30",
            series("http_request_duration_seconds_count", job="orders", status="200"): "0+60x60",
        },
        10,
        25,
        40,
    ),
    # promtool's clock begins at 0. Two weeks and five minutes are left; then a new one is made.
    "CertificateEnds": Case(
        {series("certificate_expiry_timestamp_seconds", server="a:5432"): "1209900x9 8985900x10"},
        4,
        7,
        12,
    ),
    # The last backup is 35 hours old when the clock begins. After 150 minutes the next is made.
    "BackupTooOld": Case(
        {series("backup_last_success_timestamp_seconds", job="portal"): "-126000x150 9000x60"},
        115,
        140,
        160,
    ),
    "SealedValuesUnreadable": Case(
        {series("sealed_values_unreadable_total", job="customers"): "0x5 1x20"}, 4, 8, 18
    ),
    # Of two relays, one has seen the row go, and the other still shows its earlier count.
    "OutboxStale": Case(
        {
            series("outbox_oldest_seconds", **OUTBOX): "0x5 60+60x5 0x10",
            series("outbox_oldest_seconds", service="orders", instance="b"): "0x30",
        },
        6,
        10,
        13,
    ),
    "OutboxGivenUp": Case({series("outbox_given_up_rows", **OUTBOX): "0x5 1x5 0x5"}, 4, 7, 13),
    "PublishingFails": Case({series("outbox_failing_rows", **OUTBOX): "0x5 3x8 0x5"}, 8, 12, 16),
    "RetriesPileUp": Case(
        {series("messaging_retries_total", queue="a.on.b.v1", job="a"): "0+1x10 20+10x5 70x20"},
        9,
        15,
        30,
    ),
    "DeadLetters": Case({series(QUEUE, queue="orders.dead-letters"): "0x5 1x5 0x5"}, 4, 7, 13),
    "QueueWithoutConsumer": Case(
        {
            series(CONSUMERS, queue="orders.on.vehicle.sold.v1"): "1x5 0x8 1x5",
            series(CONSUMERS, queue="orders.dead-letters"): "0x20",
        },
        9,
        12,
        16,
    ),
    "QueueGrows": Case(
        {series(QUEUE, queue="orders.on.vehicle.sold.v1"): "10x5 5000x15 10x5"}, 12, 18, 23
    ),
    "QueueHalfFull": Case(
        {series(f"{QUEUE}_bytes", queue="kpis.on.order.closed.v1"): "10x5 51e6x5 10x5"}, 4, 7, 13
    ),
    "ViewsIncomplete": Case(
        {series("rabbitmq_detailed_queue_messages", queue="kpis.overflow"): "0x5 1x5 0x5"},
        4,
        7,
        13,
    ),
    "BrokerMemoryNearAlarm": Case(
        {
            series("rabbitmq_process_resident_memory_bytes", instance="a"): "500x5 850x10 500x5",
            series("rabbitmq_resident_memory_limit_bytes", instance="a"): "1000x20",
        },
        9,
        14,
        18,
    ),
    # One of two nodes has little left.
    "BrokerDiskNearAlarm": Case(
        {
            series("rabbitmq_disk_space_available_bytes", instance="a"): "9e9x5 3.9e9x10 9e9x5",
            series("rabbitmq_disk_space_available_limit_bytes", instance="a"): "2e9x20",
            series("rabbitmq_disk_space_available_bytes", instance="b"): "9e9x20",
            series("rabbitmq_disk_space_available_limit_bytes", instance="b"): "2e9x20",
        },
        9,
        14,
        18,
    ),
    "BrokerAlarm": Case(
        {
            "rabbitmq_alarms_free_disk_space_watermark": "0x20",
            "rabbitmq_alarms_memory_used_watermark": "0x5 1x5 0x10",
        },
        4,
        7,
        13,
    ),
    # The compensation is counted again each 15 minutes, as long as it rests.
    "CompensationTooLong": Case({"orders_compensating_too_long_total": "0x5 1x14 2x40"}, 4, 30, 45),
    "NeedsAttention": Case(
        {series("needs_attention", service="payments"): "0x5 1x20 0x5"}, 15, 24, 28
    ),
    "DatabaseDown": Case({"pg_up": "1x5 0x5 1x5"}, 6, 9, 13),
    "ConnectionsNearLimit": Case(
        {
            series("pg_stat_activity_count", instance="a", datname="orders"): "50x5 100x10 50x5",
            series("pg_stat_activity_count", instance="a", datname="kpis"): "70x25",
            series("pg_settings_max_connections", instance="a"): "200x25",
        },
        9,
        14,
        18,
    ),
    "LockWait": Case(
        {series("pg_lock_wait_seconds", datname="orders"): "0x5 31+60x5 0x5"}, 6, 9, 13
    ),
    # promtool's clock begins at 0; the process starts then, and its upkeep fails for seven hours.
    "PartitionsMissing": Case(
        {series("partitions_kept_timestamp_seconds", service="orders"): "0x420 25260x60"},
        350,
        380,
        430,
    ),
}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def firing(alert: str) -> str:
    return f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)'


def test_each_alert_has_a_case_a_severity_and_says_what_to_do() -> None:
    found = {rule["alert"]: rule for rule in rules()}
    assert found.keys() == CASES.keys()
    for name, rule in found.items():
        assert rule["labels"]["severity"] in ("page", "ticket"), name
        assert set(rule["annotations"]) == {"summary", "action"}, name


def test_a_queue_of_views_is_reported_when_it_is_half_full() -> None:
    [rule] = [rule for rule in rules() if rule["alert"] == "QueueHalfFull"]
    assert float(rule["expr"].rpartition("> ")[2]) == VIEW_QUEUE_BYTES / 2
    assert f"{VIEW_QUEUE_BYTES // 1_000_000} MB" in rule["annotations"]["summary"]


def test_each_alert_fires_and_clears(tmp_path: Path) -> None:
    tests = [
        {
            "interval": "1m",
            "input_series": [
                {"series": name, "values": values} for name, values in case.samples.items()
            ],
            "promql_expr_test": [
                {
                    "expr": firing(alert),
                    "eval_time": f"{minute}m",
                    "exp_samples": [{"labels": "{}", "value": expected}],
                }
                for minute, expected in ((case.quiet, 0), (case.fires, 1), (case.clear, 0))
            ],
        }
        for alert, case in CASES.items()
    ]
    file = tmp_path / "alerts.test.yml"
    file.write_text(
        json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests})
    )
    done = subprocess.run(
        [program("promtool"), "test", "rules", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
