"""The portal reads each service's readiness, and shows a service that does not answer as down."""

import httpx

from services.portal.infrastructure.peers.probes import Probes, ServiceState

ADDRESSES = {"orders": "http://orders", "payouts": "http://payouts"}
CHECKS = {"database": "ok", "relay": "down"}
NOT_READY = {
    "status": "not ready",
    "checks": CHECKS,
    "outbox": {"rows": 7, "oldest_seconds": 1.5, "failing": 2, "given_up": 1},
}
METRICS = """\
# TYPE messaging_dead_letters_total counter
messaging_dead_letters_total{queue="orders.on.vehicle.sold.v1",why="malformed"} 2.0
messaging_dead_letters_total{queue="orders.on.vehicle.sold.v1",why="failed"} 1.0
# TYPE messaging_dead_letters_created gauge
messaging_dead_letters_created{queue="orders.on.vehicle.sold.v1",why="failed"} 1.7e+09
# TYPE messaging_retries_total counter
messaging_retries_total{queue="orders.on.vehicle.sold.v1"} 9.0
"""


def probes() -> Probes:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "payouts":
            raise httpx.ConnectError("refused", request=request)
        if request.url.path == "/metrics":
            return httpx.Response(200, text=METRICS)
        return httpx.Response(503, json=NOT_READY)

    return Probes(ADDRESSES, httpx.AsyncClient(transport=httpx.MockTransport(answer)))


async def test_each_service_says_what_keeps_it_from_its_work() -> None:
    orders, payouts = await probes().states()
    assert orders == ServiceState(
        "orders",
        alive=True,
        checks=CHECKS,
        outbox_rows=7,
        outbox_seconds=1.5,
        outbox_failing=2,
        outbox_given_up=1,
    )
    assert payouts == ServiceState("payouts")


async def test_messages_given_up_are_counted_by_queue_whatever_the_reason() -> None:
    found = await probes().refusals()
    assert found.counts == {"orders.on.vehicle.sold.v1": 3}
    assert found.silent == {"payouts"}
