"""Topology commands succeed on a broker whose answers are slow but within their timeout."""

from libs.messaging.relay.broker import Broker
from libs.messaging.topology import Exchange, Queue, Topology, apply
from tests.fixtures.proxy import proxy

QUEUES = [f"slow.{number}" for number in range(20)]


async def test_looking_for_many_queues_may_take_longer_than_any_one_answer(vhost: str) -> None:
    queues = tuple(Queue(name, {"x-queue-type": "classic"}) for name in QUEUES)
    await apply(vhost, Topology((Exchange("sample", "topic"),), queues, ()))
    async with proxy(vhost) as (line, through):
        broker = Broker(
            "sample",
            through,
            expected_queues={"sample.made.v1": [*QUEUES, "slow.missing"]},
            timeout=3,
        )
        line.slow(latency=0.1)  # for twenty round trips, each of a fifth of a second

        await broker.check_topology()
        await broker.close()

    assert broker.missing_queues == {"sample.made.v1": ["slow.missing"]}
