"""A program that kills its own process at a named point, with SIGKILL and nothing in between.

    python -m tests.faults.dying POINT PROGRAM [ARGUMENT ...]

PROGRAM is `relay DSN BROKER`, `ledger DATABASE BROKER`, or a service's module such as
`services.payments.main`, which reads its environment.
"""

import asyncio
import os
import runpy
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn

import asyncpg

from libs.messaging.inbox.consumer import QueueConsumer
from libs.messaging.inbox.inbox import Inbox
from libs.messaging.inbox.subscriber import Subscriber
from libs.messaging.outbox.outbox import Outbox, OutboxRow
from libs.messaging.outbox.unit_of_work import Transactions, UnitOfWork
from libs.messaging.relay.in_flight import InFlight
from libs.messaging.relay.publisher import Publisher
from libs.messaging.relay.relay import Relay
from libs.messaging.schema.inbox_window import InboxWindow
from services.payments.infrastructure.sandbox_gateway import SandboxGateway
from services.payouts.infrastructure.sandbox_bank import SandboxBank


def die(*_: object, **__: object) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it did not die")


replace = setattr  # linters and type checkers rightly refuse to replace a method


def before(owner: Any, name: str) -> None:
    replace(owner, name, die)


def after(owner: Any, name: str) -> None:
    genuine = getattr(owner, name)

    async def last(*args: Any, **more: Any) -> NoReturn:
        await genuine(*args, **more)
        die()

    replace(owner, name, last)


def before_the_second(owner: Any, name: str) -> None:
    genuine, calls = getattr(owner, name), 0

    async def counted(*args: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        return await genuine(*args, **more) if calls == 1 else die()

    replace(owner, name, counted)


def before_commit(event_type: str) -> None:
    """Die when all of a transaction with such an event is written, and it is not committed."""
    genuine = Outbox.write

    async def write(outbox: Outbox, connection: Any, rows: Sequence[OutboxRow]) -> None:
        await genuine(outbox, connection, rows)
        if any(row.type == event_type for row in rows):
            die()

    replace(Outbox, "write", write)


def after_commit(event_type: str) -> None:
    """Die when a transaction with such an event is committed, and nobody else knows it yet."""
    genuine = Transactions._once

    async def once(transactions: Any, work: Callable[[Any], Awaitable[Any]]) -> Any:
        units: list[UnitOfWork] = []

        async def watched(unit: UnitOfWork) -> Any:
            units.append(unit)
            return await work(unit)

        result = await genuine(transactions, watched)
        if any(row.type == event_type for unit in units for row in unit.staged):
            die()
        return result

    replace(Transactions, "_once", once)


def between_delete_and_commit() -> None:
    """Die between delete and commit. The relay sends both at once; here the delete goes alone."""
    genuine = asyncpg.Connection.execute

    async def execute(connection: Any, query: str, *args: Any, **more: Any) -> str:
        deletes = query.lstrip().startswith("DELETE FROM outbox")
        if deletes:
            query = query.removesuffix("; COMMIT")
        status = await genuine(connection, query, *args, **more)
        return die() if deletes else status

    replace(asyncpg.Connection, "execute", execute)


def arm(point: str) -> None:
    """Replace the code at this point by code that kills the process."""
    match point.split(":"):
        case ["relay claimed"]:
            before(Publisher, "publish")
        case ["relay sent"]:
            before(InFlight, "_answered")
        case ["relay confirmed"]:
            before(sys.modules["libs.messaging.relay.claimer"], "settle")
        case ["relay deleted"]:
            between_delete_and_commit()
        case ["relay committed"]:
            after(sys.modules["libs.messaging.relay.claimer"], "settle")
        case ["subscriber received"]:
            before(Inbox, "admit")
        case ["subscriber admitted"]:
            after(Inbox, "admit")
        case ["subscriber acknowledges"]:
            before(QueueConsumer, "_acknowledge")
        case ["subscriber acknowledged one"]:
            before_the_second(QueueConsumer, "_acknowledge")
        case ["before commit", event_type]:
            before_commit(event_type)
        case ["after commit", event_type]:
            after_commit(event_type)
        case ["gateway called", call]:
            before(SandboxGateway, call)
        case ["gateway answered", call]:
            after(SandboxGateway, call)
        case ["bank called"]:
            before(SandboxBank, "pay")
        case ["bank answered"]:
            after(SandboxBank, "pay")
        case _:
            raise SystemExit(f"no such point: {point}")


async def relay(dsn: str, broker: str) -> None:
    await Relay("tills", database_dsn=dsn, rabbitmq_url=broker, window=InboxWindow()).run()


async def ledger(database: str, broker: str) -> None:
    from tests.faults import chain

    settings = chain.LedgerSettings(_env_file=None, database_url=database, rabbitmq_url=broker)
    service = chain.build_ledger(settings)
    subscriber = Subscriber(
        service.participant, service.transactions, service.tables, broker, window=InboxWindow()
    )
    await subscriber.start()
    await asyncio.Event().wait()


def main(point: str, program: str, *arguments: str) -> None:
    arm(point)
    if program == "relay":
        asyncio.run(relay(*arguments))
    elif program == "ledger":
        asyncio.run(ledger(*arguments))
    else:
        sys.argv = [program]
        runpy.run_module(program, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
