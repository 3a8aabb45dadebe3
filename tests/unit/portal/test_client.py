"""Calls to other services carry the user's token. A failing one is reported as unavailable."""

from collections.abc import Callable

import httpx
import pytest
from opentelemetry import trace

from services.portal.domain.user import User
from services.portal.infrastructure.peers.client import (
    PROBLEM,
    VISITOR,
    PeerRefusal,
    Peers,
    PeerUnavailable,
)


async def token(user: User) -> str:
    return f"token-of-{user.id.int}"


def peers(answer: Callable[[httpx.Request], httpx.Response]) -> Peers:
    transport = httpx.MockTransport(answer)
    return Peers({"vehicles": "http://vehicles"}, token, transport=transport)


async def test_a_call_carries_tenant_token_key_and_version() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"a": 1}, headers={"ETag": '"3"'})

    reply = await peers(answer).send(
        None, "vehicles", "PATCH", "/x", {"b": 2}, key="k", version='"2"'
    )
    assert (reply.body, reply.version) == ({"a": 1}, '"3"')
    headers = seen[0].headers
    assert headers["Authorization"] == "Bearer token-of-0"
    assert headers["X-Tenant-Id"] == VISITOR.tenant_id
    assert (headers["Idempotency-Key"], headers["If-Match"]) == ("k", '"2"')


async def test_a_call_is_of_the_trace_of_the_request_it_is_made_for() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    of_a_request = trace.NonRecordingSpan(
        trace.SpanContext(0xA1, 0xB2, is_remote=False, trace_flags=trace.TraceFlags(1))
    )
    with trace.use_span(of_a_request):
        await peers(answer).get(None, "vehicles", "/x")
    await peers(answer).get(None, "vehicles", "/x")
    assert seen[0].headers["traceparent"] == f"00-{0xA1:032x}-{0xB2:016x}-01"
    assert "traceparent" not in seen[1].headers


@pytest.mark.parametrize("status", [401, 500, 502, 503])
async def test_a_service_in_trouble_is_unavailable(status: int) -> None:
    with pytest.raises(PeerUnavailable) as trouble:
        await peers(lambda _: httpx.Response(status)).get(None, "vehicles", "/x")
    assert trouble.value.service == "vehicles"


async def test_a_service_that_talks_nonsense_or_not_at_all_is_unavailable() -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("", request=request)

    for answer in (silent, lambda _: httpx.Response(200, text="<html>")):
        with pytest.raises(PeerUnavailable):
            await peers(answer).get(None, "vehicles", "/x")
    with pytest.raises(PeerUnavailable):
        await peers(silent).get(None, "nowhere", "/x")


async def test_a_refusal_names_every_field_with_its_code_and_parameters() -> None:
    year = {"field": "year", "code": "year-out-of-range", "message": "old", "params": {"least": 1}}
    plate = {"field": "plate", "code": "invalid-plate", "message": "no"}
    many = {"type": f"{PROBLEM}invalid-input", "detail": "some", "errors": [year, plate]}
    one = {"type": f"{PROBLEM}document-taken", "detail": "no", "field": "document"}
    whole = {"type": f"{PROBLEM}vehicle-sold", "code": "vehicle-sold", "detail": "sold"}
    for problem, fields in (
        (many, {"year": ("year-out-of-range", {"least": 1}), "plate": ("invalid-plate", {})}),
        (one, {"document": ("document-taken", {})}),
        (whole, {"": ("vehicle-sold", {})}),
        ({}, {"": ("", {})}),
        ({"errors": [{}], "params": 3}, {"": ("", {})}),
    ):
        with pytest.raises(PeerRefusal) as refused:
            await peers(lambda _, p=problem: httpx.Response(409, json=p)).get(  # type: ignore[misc]
                None, "vehicles", "/x"
            )
        found = {name: (each.code, each.params) for name, each in refused.value.fields.items()}
        assert found == fields


async def test_an_equal_request_under_way_is_waited_for_and_its_answer_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.portal.infrastructure.peers.client.IN_FLIGHT_WAITS", (0, 0, 0))
    in_flight = {"type": "urn:mercado-veiculo:problem:idempotency-key-in-flight", "detail": "busy"}
    answers = [httpx.Response(409, json=in_flight)] * 2 + [httpx.Response(202, json={"id": 1})]
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Idempotency-Key"])
        return answers[len(seen) - 1]

    reply = await peers(answer).send(None, "vehicles", "POST", "/x", {}, key="k")
    assert (reply.body, seen) == ({"id": 1}, ["k", "k", "k"])


async def test_an_equal_request_that_never_ends_makes_the_service_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.portal.infrastructure.peers.client.IN_FLIGHT_WAITS", (0, 0, 0))
    in_flight = {"type": "urn:mercado-veiculo:problem:idempotency-key-in-flight", "detail": "busy"}
    with pytest.raises(PeerUnavailable):
        await peers(lambda _: httpx.Response(409, json=in_flight)).send(
            None, "vehicles", "POST", "/x", {}, key="k"
        )
