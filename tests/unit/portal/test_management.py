"""The portal reads queues from the management API, or says that it does not answer."""

import httpx
import pytest

from services.portal.infrastructure.peers.management import (
    BrokerUnavailable,
    ManagementApi,
    QueueState,
)


def api(answer: httpx.Response) -> ManagementApi:
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: answer))
    return ManagementApi("http://u:p@broker:15672/", "a/b", client)


async def test_a_queue_is_read_with_its_depth_and_its_rates() -> None:
    row = {
        "name": "vehicles.on.credit.reserved.v1",
        "messages_ready": 3,
        "messages_unacknowledged": 2,
        "consumers": 1,
        "message_stats": {
            "publish_details": {"rate": 4.2},
            "ack_details": {"rate": 1.5},
        },
    }
    (state,) = (await api(httpx.Response(200, json=[row])).queues()).values()
    assert state == QueueState("vehicles.on.credit.reserved.v1", 3, 2, 1, 4.2, 1.5, 0.0)
    assert state.depth == 5


async def test_a_queue_just_declared_counts_as_empty() -> None:
    states = await api(httpx.Response(200, json=[{"name": "orders.dead-letters"}])).queues()
    assert states["orders.dead-letters"] == QueueState(
        "orders.dead-letters", 0, 0, 0, 0.0, 0.0, 0.0
    )


@pytest.mark.parametrize("answer", [httpx.Response(401), httpx.Response(200, text="<html>")])
async def test_an_answer_of_no_use_says_so_without_the_password(answer: httpx.Response) -> None:
    with pytest.raises(BrokerUnavailable) as refusal:
        await api(answer).queues()
    assert "management API" in str(refusal.value)
    assert "u:p@" not in str(refusal.value)
