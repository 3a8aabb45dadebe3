"""The broker's two URLs are parsed, or refused in one sentence."""

import re
from pathlib import Path

import pytest
from yarl import URL

from libs.messaging.broker_url import (
    BrokerUrlError,
    connect_to_any,
    parse_broker_url,
    parse_management_url,
    places,
    vhost_of,
)


@pytest.mark.parametrize(
    "text",
    [
        "amqp://me:secret@mq/mercado",
        "amqps://me:secret@mq:5671/%2F",
        "amqps://me:secret@mq/x?cafile=/ca.pem&certfile=/c.pem&keyfile=/k.pem",
    ],
)
def test_a_url_of_the_broker_is_kept_as_it_is(text: str) -> None:
    assert str(parse_broker_url(text)) == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("http://me:secret@mq/", "does not begin with amqp:// or amqps://"),
        ("amqps:///x", "names no host"),
        ("amqp://me:secret@mq,,other/x", "names no host"),
        ("amqp://me:secret@mq:1,other:port/x", "is not a URL, or its port is not a number"),
        ("amqps://me:secret@mq:port/x", "is not a URL, or its port is not a number"),
        ("amqps://me:secret@mq/x?cafle=/ca.pem", "the parameter cafle is not known, leave it out;"),
        ("amqps://me:secret@mq/x?no_verify_ssl=1", "no_verify_ssl would trust any server"),
        ("amqp://me:secret@mq/x?cafile=/ca.pem", "cafile goes with amqps:// only"),
        ("amqps://me:secret@mq/x?keyfile=/k.pem", "keyfile is given without certfile"),
        ("amqps://me:secret@mq/x?cafile=/a&cafile=/b", "cafile is given twice"),
    ],
)
def test_an_address_that_does_not_reach_the_broker_is_one_sentence(
    text: str, sentence: str
) -> None:
    with pytest.raises(BrokerUrlError) as refusal:
        parse_broker_url(text)
    assert str(refusal.value).startswith(sentence)
    assert "secret" not in str(refusal.value)


def test_each_host_of_a_list_is_a_place_with_the_same_rest() -> None:
    text = "amqps://me:a,b@mq-1:5671, mq-2,[::1]:5673/%2F?cafile=/a,b.pem"
    assert list(map(str, places(text))) == [
        "amqps://me:a,b@mq-1:5671/%2F?cafile=/a,b.pem",
        "amqps://me:a,b@mq-2/%2F?cafile=/a,b.pem",
        "amqps://me:a,b@[::1]:5673/%2F?cafile=/a,b.pem",
    ]
    assert parse_broker_url(text) == places(text)[0]
    assert vhost_of(text) == "/"


async def test_every_host_is_asked_until_one_answers_and_the_last_refusal_is_reported() -> None:
    asked: list[str] = []

    async def connect(place: URL) -> str:
        asked.append(str(place.host))
        if place.host != "c":
            raise ConnectionRefusedError(f"not {place.host}")
        return "connected"

    for _ in range(20):  # the order is random
        assert await connect_to_any("amqp://a,b,c/x", connect) == "connected"
    asked.clear()
    with pytest.raises(ConnectionRefusedError, match=r"not [ab]"):
        await connect_to_any("amqp://a,b/x", connect)
    assert sorted(asked) == ["a", "b"]


def test_the_management_url_is_taken_apart() -> None:
    place = parse_management_url("https://me:secret@mq:15671/?cafile=/ca.pem")
    assert (place.url, place.cafile) == ("https://me:secret@mq:15671", "/ca.pem")
    assert parse_management_url("http://me:secret@mq:15672/").url == "http://me:secret@mq:15672"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("amqp://me:secret@mq", "does not begin with http:// or https://"),
        ("http://me:secret@mq?cafile=/ca.pem", "cafile goes with https:// only"),
        ("https://me:secret@mq?verify=no", "the parameter verify is not known; known is cafile"),
    ],
)
def test_an_address_that_does_not_reach_the_management_is_one_sentence(
    text: str, sentence: str
) -> None:
    with pytest.raises(BrokerUrlError) as refusal:
        parse_management_url(text)
    assert str(refusal.value).startswith(sentence)
    assert "secret" not in str(refusal.value)


ROOT = Path(__file__).parents[3]


def test_nobody_else_takes_a_broker_url_apart_as_if_it_named_one_host() -> None:
    """yarl refuses a list of hosts, so only `places`, `parse_broker_url` and
    `vhost_of` parse these URLs.
    """
    files = [
        file for name in ("libs", "services", "deploy") for file in (ROOT / name).rglob("*.py")
    ]
    wrong = [
        f"{file}: {line.strip()}"
        for file in files
        for line in file.read_text().splitlines()
        if re.search(r"\b(URL|urlsplit|aio_pika\.connect|aiormq\.connect)\(.*rabbitmq_\w*url", line)
    ]
    assert files
    assert not [each for each in wrong if "management" not in each]
