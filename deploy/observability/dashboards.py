"""Grafana has one dashboard for each question an operator asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

DATASOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDTH, HEIGHT, ACROSS = 12, 8, 2
"""A panel has this size, in Grafana's grid of 24 columns."""


@dataclass(frozen=True)
class Panel:
    """`queries` are PromQL by legend; a legend may name labels, as `{{queue}}`."""

    title: str
    queries: Mapping[str, str]
    unit: str = "short"
    kind: Literal["timeseries", "bargauge"] = "timeseries"


@dataclass(frozen=True)
class Dashboard:
    uid: str
    title: str
    question: str
    panels: Sequence[Panel]


def rate(metric: str, by: str, **labels: str) -> str:
    """Return the rate per second, over all processes."""
    return f"sum by ({by}) (rate({_selected(metric, labels)}[$__rate_interval]))"


def quantile(share: float, histogram: str, by: str, **labels: str) -> str:
    """Return the value below which this share of the observations lies."""
    buckets = _selected(f"{histogram}_bucket", labels)
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({buckets}[$__rate_interval])))"


def _selected(metric: str, labels: Mapping[str, str]) -> str:
    chosen = ", ".join(f'{name}=~"{pattern}"' for name, pattern in labels.items())
    return f"{metric}{{{chosen}}}" if chosen else metric


WAY = (
    "order.confirmed.v1",
    "credit.reserved.v1",
    "vehicle.reserved.v1",
    "payment.code_generated.v1",
    "payment.processed.v1",
    "vehicle.sold.v1",
    "order.completed.v1",
    "order.closed.v1",
    "payout.completed.v1",
)
"""A purchase has these events on its way forward, one for each step."""
TURNS = ".+[.](.*failed|expired|cancellation_requested|.*unanswered)[.]v1"
"""These events begin a compensation, or ask for a person."""
CONSUMED = ".+[.]on[.].+"
DEAD = ".+[.]dead-letters"

DASHBOARDS = (
    Dashboard(
        "purchases",
        "Purchases",
        "Do purchases come through, where do they turn back, and how long do they take?",
        (
            Panel(
                "Events of the way forward, in the time shown",
                {
                    each: f'sum(increase(outbox_events_total{{type="{each}"}}[$__range]))'
                    for each in WAY
                },
                kind="bargauge",
            ),
            Panel(
                "Outcomes a second",
                {"{{outcome}}": rate("orders_purchase_seconds_count", "outcome")},
                "reqps",
            ),
            Panel(
                "From request to outcome, the median",
                {"{{outcome}}": quantile(0.5, "orders_purchase_seconds", "outcome")},
                "s",
            ),
            Panel(
                "From request to outcome, 95 of 100",
                {"{{outcome}}": quantile(0.95, "orders_purchase_seconds", "outcome")},
                "s",
            ),
            Panel(
                "What turns purchases back",
                {"{{type}}": rate("outbox_events_total", "type", type=TURNS)},
                "reqps",
            ),
            Panel(
                "Waiting for a person, and too long in compensation",
                {
                    "{{service}}": "max by (service) (needs_attention)",
                    "compensating": "sum(increase(orders_compensating_too_long_total[20m]))",
                },
            ),
            Panel(
                "Answers of the payment gateway",
                {"{{call}} {{answer}}": rate("payments_gateway_answers_total", "call, answer")},
                "reqps",
            ),
            Panel(
                "Answers of the bank",
                {
                    "{{answer}}": rate("payouts_bank_answers_total", "answer"),
                    "failed for good": "sum(increase(payouts_failed_total[$__rate_interval]))",
                },
                "reqps",
            ),
        ),
    ),
    Dashboard(
        "events",
        "Outbox and queues",
        "Do events leave the outboxes, and do the queues empty?",
        (
            Panel("Rows in the outbox", {"{{service}}": "max by (service) (outbox_rows)"}),
            Panel(
                "Age of the oldest row",
                {"{{service}}": "max by (service) (outbox_oldest_seconds)"},
                "s",
            ),
            Panel(
                "Published a second",
                {"{{service}} {{outcome}}": rate("outbox_published_total", "service, outcome")},
                "reqps",
            ),
            Panel(
                "From claim to commit, 95 of 100 batches",
                {"{{service}}": quantile(0.95, "outbox_batch_seconds", "service")},
                "s",
            ),
            Panel(
                "Failing and given up",
                {
                    "{{service}} failing": "max by (service) (outbox_failing_rows)",
                    "{{service}} given up": "max by (service) (outbox_given_up_rows)",
                },
            ),
            Panel(
                "Longest queues",
                {
                    "{{queue}}": "topk(10, sum by (queue)"
                    f' (rabbitmq_detailed_queue_messages{{queue=~"{CONSUMED}"}}))'
                },
            ),
            Panel(
                "Largest queues",
                {
                    "{{queue}}": "topk(10, sum by (queue)"
                    f' (rabbitmq_detailed_queue_messages_ready_bytes{{queue=~"{CONSUMED}"}}))'
                },
                "bytes",
            ),
            Panel(
                "Dead letters",
                {
                    "{{queue}}": "sum by (queue)"
                    f' (rabbitmq_detailed_queue_messages_ready{{queue=~"{DEAD}"}})'
                },
            ),
            Panel(
                "Free disk of RabbitMQ, and where it stops taking messages",
                {
                    "free": "rabbitmq_disk_space_available_bytes",
                    "limit": "rabbitmq_disk_space_available_limit_bytes",
                },
                "bytes",
            ),
        ),
    ),
    Dashboard(
        "consumers",
        "Consumers",
        "Are events handled in time, once, and without error?",
        (
            Panel(
                "Handled a second",
                {"{{queue}}": f"topk(10, {rate('messaging_handled_total', 'queue')})"},
                "reqps",
            ),
            Panel(
                "From event to reaction, 95 of 100",
                {"{{queue}}": f"topk(10, {quantile(0.95, 'messaging_lag_seconds', 'queue')})"},
                "s",
            ),
            Panel(
                "One transaction, 95 of 100",
                {"{{queue}}": f"topk(10, {quantile(0.95, 'messaging_batch_seconds', 'queue')})"},
                "s",
            ),
            Panel(
                "Failed, and tried again",
                {"{{queue}}": f"{rate('messaging_retries_total', 'queue')} > 0"},
                "reqps",
            ),
            Panel(
                "Seen before",
                {"{{queue}}": f"{rate('messaging_duplicates_total', 'queue')} > 0"},
                "reqps",
            ),
            Panel(
                "Sent to the dead letters",
                {"{{queue}} {{why}}": f"{rate('messaging_dead_letters_total', 'queue, why')} > 0"},
                "reqps",
            ),
            Panel(
                "Waiting for the database or the broker",
                {
                    "{{queue}}": "max by (queue) (messaging_held) > 0",
                    "{{part}}": f"{rate('connection_failures_total', 'part')} > 0",
                },
            ),
            Panel(
                "Queues without a consumer",
                {
                    "{{queue}}": "sum by (queue)"
                    f' (rabbitmq_detailed_queue_consumers{{queue=~"{CONSUMED}"}}) == 0'
                },
            ),
        ),
    ),
    Dashboard(
        "postgres",
        "Postgres",
        "Is the database quick, who holds it up, and what grows?",
        (
            Panel(
                "Smallest statement, mean",
                {
                    "{{job}}": f"{rate('database_round_trip_seconds_sum', 'job')}"
                    f" / {rate('database_round_trip_seconds_count', 'job')}"
                },
                "s",
            ),
            Panel(
                "Connections, and how many there may be",
                {
                    "{{datname}}": "sum by (datname) (pg_stat_activity_count) > 0",
                    "limit": "max(pg_settings_max_connections)",
                },
            ),
            Panel(
                "Connections of the services' pools",
                {"{{job}} {{state}}": "sum by (job, state) (db_pool_connections)"},
            ),
            Panel(
                "Longest transaction",
                {"{{datname}}": "max by (datname) (pg_stat_activity_max_tx_duration)"},
                "s",
            ),
            Panel(
                "Locks held, by mode",
                {"{{mode}}": "sum by (mode) (pg_locks_count) > 0"},
            ),
            Panel(
                "Waiting for locks",
                {
                    "{{datname}} sessions": "max by (datname) (pg_lock_wait_sessions) > 0",
                    "{{datname}} longest, s": "max by (datname) (pg_lock_wait_seconds) > 0",
                    "{{datname}} deadlocks": "sum by (datname)"
                    " (increase(pg_stat_database_deadlocks[$__rate_interval])) > 0",
                },
            ),
            Panel(
                "Transactions a second",
                {
                    "{{datname}} committed": rate("pg_stat_database_xact_commit", "datname"),
                    "{{datname}} rolled back": rate("pg_stat_database_xact_rollback", "datname"),
                },
                "reqps",
            ),
            Panel(
                "Read from memory",
                {
                    "{{datname}}": f"{rate('pg_stat_database_blks_hit', 'datname')} / ("
                    f"{rate('pg_stat_database_blks_hit', 'datname')}"
                    f" + {rate('pg_stat_database_blks_read', 'datname')})"
                },
                "percentunit",
            ),
            Panel(
                "Size of the databases",
                {"{{datname}}": "max by (datname) (pg_database_size_bytes)"},
                "bytes",
            ),
            Panel(
                "Largest tables, with their partitions",
                {
                    "{{datname}} {{relation}}": "topk(10, max by (datname, relation)"
                    ' (pg_relation_bytes{kind="table"}))'
                },
                "bytes",
            ),
            Panel(
                "Largest indexes, with their partitions",
                {
                    "{{datname}} {{relation}}": "topk(10, max by (datname, relation)"
                    ' (pg_relation_bytes{kind="index"}))'
                },
                "bytes",
            ),
            Panel(
                "Since the partitions were in order",
                {"{{service}}": "time() - max by (service) (partitions_kept_timestamp_seconds)"},
                "s",
            ),
        ),
    ),
    Dashboard(
        "http",
        "HTTP",
        "Are requests answered, and how fast?",
        (
            Panel(
                "Requests a second",
                {"{{job}}": rate("http_request_duration_seconds_count", "job")},
                "reqps",
            ),
            Panel(
                "95 of 100 are answered within",
                {"{{job}}": quantile(0.95, "http_request_duration_seconds", "job")},
                "s",
            ),
            Panel(
                "Slowest routes, 95 of 100",
                {
                    "{{job}} {{method}} {{route}}": "topk(10, "
                    + quantile(0.95, "http_request_duration_seconds", "job, method, route")
                    + ")"
                },
                "s",
            ),
            Panel(
                "Answers by status",
                {"{{status}}": rate("http_request_duration_seconds_count", "status")},
                "reqps",
            ),
            Panel(
                "Errors of our own",
                {
                    "{{job}} {{method}} {{route}}": rate(
                        "http_server_errors_total", "job, method, route"
                    )
                    + " > 0"
                },
                "reqps",
            ),
            Panel("Processes that answer", {"{{job}}": "sum by (job) (up)"}),
            Panel(
                "Processor time a second",
                {"{{job}}": rate("process_cpu_seconds_total", "job")},
                "percentunit",
            ),
            Panel(
                "Memory",
                {"{{job}}": "max by (job) (process_resident_memory_bytes)"},
                "bytes",
            ),
        ),
    ),
)


def as_json(dashboard: Dashboard) -> dict[str, Any]:
    """Return the JSON of a file that Grafana reads."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.question,
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "panels": [_panel(number, each) for number, each in enumerate(dashboard.panels)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    references = (chr(ord("A") + each) for each in count())
    at_once = panel.kind == "bargauge"
    return {
        "id": number + 1,
        "type": panel.kind,
        "title": panel.title,
        "datasource": DATASOURCE,
        "gridPos": {
            "x": number % ACROSS * WIDTH,
            "y": number // ACROSS * HEIGHT,
            "w": WIDTH,
            "h": HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": reference,
                "datasource": DATASOURCE,
                "expr": query,
                "legendFormat": legend,
                "instant": at_once,
                "range": not at_once,
            }
            for reference, (legend, query) in zip(references, panel.queries.items(), strict=False)
        ],
    }
