"""Every counter whose labels are known exists, at zero, before anything is counted. A rate over a
counter that begins with its first event would not see that event.
"""

import subprocess
import sys
from typing import get_args
from uuid import uuid4

from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import create_async_engine

from libs.messaging.inbox.metrics import Why
from libs.messaging.inbox.subscriber import Subscriber
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions
from libs.messaging.outbox.wakeup import WakeUp
from libs.messaging.relay.relay import Relay
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reactions
from libs.messaging.schema.inbox_window import InboxWindow
from tests.integration.messaging.sample import (
    TABLES,
    CreditUnitOfWork,
    OrderPlacedView,
    reserve_credit,
)

NOWHERE = "postgresql+asyncpg://nobody@127.0.0.1:1/nothing"
NO_BROKER = "amqp://127.0.0.1:1"


def test_each_queue_counts_from_zero_on_when_its_subscriber_is_made() -> None:
    name = f"listener-{uuid4().hex}"
    on = Reactions[CreditUnitOfWork](name)
    on.view("order.placed.v1", OrderPlacedView)(reserve_credit)
    engine = create_async_engine(NOWHERE)
    transactions = Transactions(engine, Outbox(name, TABLES), CreditUnitOfWork)
    participant = Participant(name, publishes=(), reactions=on)
    queue = {"queue": f"{name}.on.order.placed.v1"}
    assert REGISTRY.get_sample_value("messaging_handled_total", queue) is None
    Subscriber(participant, transactions, TABLES, NO_BROKER, window=InboxWindow())
    for counter in ("messaging_handled", "messaging_duplicates", "messaging_retries"):
        assert REGISTRY.get_sample_value(f"{counter}_total", queue) == 0, counter
    for why in get_args(Why):
        labels = queue | {"why": why}
        assert REGISTRY.get_sample_value("messaging_dead_letters_total", labels) == 0, why


def test_a_relay_counts_both_outcomes_from_zero_on() -> None:
    service = f"shop-{uuid4().hex}"
    Relay(
        service,
        database_dsn=NOWHERE.replace("+asyncpg", ""),
        rabbitmq_url=NO_BROKER,
        window=InboxWindow(),
        wake_up=WakeUp(),
    )
    for outcome in ("delivered", "failed"):
        labels = {"service": service, "outcome": outcome}
        assert REGISTRY.get_sample_value("outbox_published_total", labels) == 0, outcome


def test_the_answers_of_gateway_and_bank_are_counted_from_zero_on() -> None:
    """A process of its own counts here, because others may have counted in this one."""
    code = (
        "import services.payments.main, services.payouts.main\n"
        "from prometheus_client import generate_latest\n"
        "print(generate_latest().decode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    lines = done.stdout.splitlines()
    for call in ("charge", "refund"):
        for answer in ("approved", "declined", "unanswered"):
            labels = f'answer="{answer}",call="{call}"'
            assert f"payments_gateway_answers_total{{{labels}}} 0.0" in lines
    for answer in ("paid", "refused", "unanswered"):
        assert f'payouts_bank_answers_total{{answer="{answer}"}} 0.0' in lines
    assert "payouts_failed_total 0.0" in lines
