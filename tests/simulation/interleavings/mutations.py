"""Injects faults of interleaving into relay, wake-up and subscriber.

Each fault is a context manager: the code is broken only inside its block.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch

from libs.kernel.ids import time_of
from libs.messaging.inbox import subscriber
from libs.messaging.inbox.consumer import QueueConsumer
from libs.messaging.inbox.inbox import Inbox, Verdict
from libs.messaging.outbox.wakeup import Notifier, WakeUp
from libs.messaging.relay import claimer, claims
from libs.messaging.relay.claimer import Work
from libs.messaging.relay.in_flight import InFlight
from libs.messaging.relay.publisher import Publisher
from libs.messaging.supervision import Supervisor
from tests.simulation.mutations.registry import Mutation

MUTATIONS: dict[str, Mutation] = {}


def mutation(sentence: str) -> Callable[[Mutation], Mutation]:
    def register(found: Mutation) -> Mutation:
        MUTATIONS[sentence] = found
        return found

    return register


@mutation("a signal is cleared after the claim, not before it")
def cleared_after_the_claim() -> AbstractContextManager[object]:
    rightly, wait_rightly = Work.claimed, WakeUp.wait

    async def wait(self: WakeUp, timeout: float) -> bool:  # noqa: ASYNC109 - as the original
        if isinstance(self, Notifier):
            return await wait_rightly(self, timeout)
        try:
            async with asyncio.timeout(timeout):
                await self._signalled.wait()
        except TimeoutError:
            return False
        return True

    def claimed(self: Work, batch: Any, signals: int) -> None:
        self._wake_up._signalled.clear()
        rightly(self, batch, self._wake_up.signals)

    return _both(patch.object(WakeUp, "wait", wait), patch.object(Work, "claimed", claimed))


@mutation("a signal that comes before somebody waits is lost")
def signal_between_look_and_wait() -> AbstractContextManager[object]:
    rightly = WakeUp.wait

    async def wait(self: WakeUp, timeout: float) -> bool:  # noqa: ASYNC109 - as the original
        self._signalled.clear()
        return await rightly(self, timeout)

    return patch.object(WakeUp, "wait", wait)


@mutation("signals that came while a batch was in hand are forgotten")
def signals_forgotten() -> AbstractContextManager[object]:
    rightly = Work.settled

    def settled(self: Work, batch: Any, _: int, may_go: int | None) -> None:
        rightly(self, batch, self._wake_up.signals, may_go)

    return patch.object(Work, "settled", settled)


@mutation("the locks of a claim are let go before its events are confirmed")
def lock_let_go() -> AbstractContextManager[object]:
    rightly = claims.claim

    async def claim(connection: Any, *arguments: Any) -> Any:
        batch = await rightly(connection, *arguments)
        await connection.execute("COMMIT")
        return batch

    return patch.object(claimer, "claim", claim)


@mutation("an event counts as published when it is sent")
def published_when_sent() -> AbstractContextManager[object]:
    rightly = InFlight._expect

    def expect(self: InFlight, outcome: Any, message: Any) -> None:
        rightly(self, outcome, message)
        (confirmation,) = [each for each, sent in self._unconfirmed.items() if sent is outcome]
        tag = self._channel.delivery_tag
        self._channel.confirmations[tag] = asyncio.get_running_loop().create_future()
        confirmation.set_result(None)

    return patch.object(InFlight, "_expect", expect)


@mutation("a confirm is matched to another message")
def confirm_of_another() -> AbstractContextManager[object]:
    rightly = InFlight._expect

    def expect(self: InFlight, outcome: Any, message: Any) -> None:
        rightly(self, outcome, message)
        tag, confirmations = self._channel.delivery_tag, self._channel.confirmations
        if tag - 1 in confirmations:
            one, other = confirmations[tag - 1], confirmations[tag]
            confirmations[tag - 1], confirmations[tag] = other, one

    return patch.object(InFlight, "_expect", expect)


@mutation("a confirm that comes after its message was given up still counts")
def confirm_after_giving_up() -> AbstractContextManager[object]:
    async def give_up(self: Publisher, channel: Any, in_flight: Any, publishing: Any) -> None:
        for outcome in in_flight.unconfirmed:
            outcome.error, outcome.silent = "no confirm", True
        await self._close(channel)
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)

    return patch.object(Publisher, "_give_up", give_up)


@mutation("a message is acknowledged before the commit of its effect")
def acknowledged_first() -> AbstractContextManager[object]:
    rightly = QueueConsumer._try

    async def attempt(self: QueueConsumer[Any], deliveries: list[Any]) -> Any:
        for delivery in deliveries:
            if not delivery.is_gone:
                await self._acknowledge(delivery.message)
        return await rightly(self, deliveries)

    async def settle(*_: Any) -> None: ...

    return _both(
        patch.object(QueueConsumer, "_try", attempt), patch.object(QueueConsumer, "_settle", settle)
    )


@mutation("the inbox is read first and written after the reaction")
def inbox_read_first() -> AbstractContextManager[object]:
    async def admit(self: Inbox, connection: Any, consumer: str, messages: Any) -> list[Verdict]:
        ids = [identifier for identifier, _ in messages]
        times = [time_of(identifier) for identifier in ids]
        found = await connection.exec_driver_sql(self._hashes, (consumer, ids, times))
        seen = {row.message_id for row in found}
        await connection.exec_driver_sql(
            self._insert, (consumer, ids, times, [payload_hash for _, payload_hash in messages])
        )
        verdicts = []
        for identifier in ids:
            verdicts.append(Verdict.DUPLICATE if identifier in seen else Verdict.NEW)
            seen.add(identifier)
        return verdicts

    return patch.object(Inbox, "admit", admit)


@mutation("messages that arrive while a subscription begins are discarded")
def begun_too_late() -> AbstractContextManager[object]:
    async def begin(subscriber: Any) -> None:
        await subscriber.start()

    return patch.object(subscriber, "_begin", begin)


@mutation("a process that stops does not wait for its tasks")
def tasks_left() -> AbstractContextManager[object]:
    async def stop(self: Supervisor, *, within: float) -> None:
        self.stopping.set()

    return patch.object(Supervisor, "stop", stop)


@mutation("a part ends at its first error")
def ends_at_an_error() -> AbstractContextManager[object]:
    async def keep_running(self: Supervisor, part: str, step: Any, wake: Any) -> None:
        while not self.stopping.is_set():
            try:
                rest = await step()
            except Exception as error:
                self._note(part, error)
                return
            if rest:
                await self._pause(rest, wake)

    return patch.object(Supervisor, "_keep_running", keep_running)


@mutation("a claimer that found nothing looks again at once")
def never_waits() -> AbstractContextManager[object]:
    async def wait(self: Work) -> None:
        await asyncio.sleep(self._settings.pace)

    return patch.object(Work, "wait", wait)


def _both(*patches: AbstractContextManager[object]) -> AbstractContextManager[object]:
    stack = ExitStack()
    for each in patches:
        stack.enter_context(each)
    return stack
