"""The client of the demo and of the end-to-end tests retries what a busy service refuses."""

import httpx
import pytest

from deploy.demo.market import Market


@pytest.fixture
async def busy(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """Return the requests to a service that refuses twice because it is busy, and then answers."""
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        if len(sent) < 3:
            return httpx.Response(503, headers={"Retry-After": "0"}, request=request)
        return httpx.Response(202, request=request)

    async def send(client: httpx.AsyncClient, method: str, path: str, **more: object) -> object:
        return answer(client.build_request(method, path, **more))  # type: ignore[arg-type]

    monkeypatch.setattr(httpx.AsyncClient, "request", send)
    return sent


async def test_a_request_that_a_busy_service_refuses_is_sent_again(
    busy: list[httpx.Request],
) -> None:
    market = Market({"payments": "http://payments"})
    await market.pay("CODE")
    await market.close()
    assert len(busy) == 3
    assert len({request.headers["Idempotency-Key"] for request in busy}) == 1


async def test_a_service_that_stays_busy_is_an_error_in_the_end(busy: list[httpx.Request]) -> None:
    market = Market({"payments": "http://payments"}, timeout=-1)
    with pytest.raises(httpx.HTTPStatusError, match="answered 503"):
        await market.pay("CODE")
    await market.close()
