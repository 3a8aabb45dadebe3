"""The broker's two URLs: what is understood, and the sentence for what is not."""

import pytest

from libs.messaging.broker_url import BrokerUrlError, parse_broker_url, parse_management_url


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
        ("amqps://me:secret@mq:port/x", "is not a URL, or its port is not a number"),
        ("amqps://me:secret@mq/x?cafle=/ca.pem", "the parameter cafle is not known, leave it out;"),
        ("amqps://me:secret@mq/x?no_verify_ssl=1", "no_verify_ssl would trust any server"),
        ("amqp://me:secret@mq/x?cafile=/ca.pem", "cafile goes with amqps:// only"),
        ("amqps://me:secret@mq/x?keyfile=/k.pem", "keyfile is given without certfile"),
        ("amqps://me:secret@mq/x?cafile=/a&cafile=/b", "cafile is given twice"),
    ],
)
def test_what_the_broker_cannot_be_reached_with_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(BrokerUrlError) as refusal:
        parse_broker_url(text)
    assert str(refusal.value).startswith(sentence)
    assert "secret" not in str(refusal.value)


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
def test_what_the_management_cannot_be_reached_with_is_one_sentence(
    text: str, sentence: str
) -> None:
    with pytest.raises(BrokerUrlError) as refusal:
        parse_management_url(text)
    assert str(refusal.value).startswith(sentence)
    assert "secret" not in str(refusal.value)
