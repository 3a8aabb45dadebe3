"""Database URLs are read as providers write them, or refused in one sentence."""

from pathlib import Path

import pytest

from libs.messaging.database import describe_refusal
from libs.messaging.database_url import (
    DatabaseUrlError,
    hosts_of,
    parse_database_url,
    place_of,
    plain_dsn,
    url_from_parts,
)

PLAIN = "postgresql://me:secret@db:5433/x"


@pytest.mark.parametrize(
    "scheme",
    ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2", "postgresql+asyncpg"],
)
def test_any_postgres_url_means_the_same(scheme: str) -> None:
    url = parse_database_url(f"{scheme}://me:p%40ss@db:5433/x?sslmode=verify-full")
    assert plain_dsn(url) == "postgresql://me:p%40ss@db:5433/x?sslmode=verify-full"
    assert parse_database_url(plain_dsn(url)) == url


def test_sslmode_may_be_spelt_as_sqlalchemy_spells_it() -> None:
    assert parse_database_url(f"{PLAIN}?ssl=require") == parse_database_url(
        f"{PLAIN}?sslmode=require"
    )


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("postgresql://me@a:1,b:2/x", [("a", 1), ("b", 2)]),
        ("postgresql://me:p%2Cs@a,b:2/x", [("a", 5432), ("b", 2)]),
        ("postgresql://me@[::1]:1,[2001:db8::2]/x", [("::1", 1), ("2001:db8::2", 5432)]),
        ("postgresql://me@/x?host=a,b&port=1,2", [("a", 1), ("b", 2)]),
        ("postgresql://me@/x?host=a,b&port=7", [("a", 7), ("b", 7)]),
        ("postgresql://me@/x?host=a:1&host=b:2", [("a", 1), ("b", 2)]),
        ("postgresql://me@/x?host=::1&port=7", [("::1", 7)]),
        ("postgresql://me@elsewhere:9/x?host=a&port=1", [("a", 1)]),
        ("postgresql://me@/x?host=%2Frun%2Fpg&port=7", [("/run/pg", 7)]),
        ("postgresql://me@[::1]:1/x", [("::1", 1)]),
        ("postgresql://me@/x", [(None, None)]),
    ],
)
def test_hosts_are_found_wherever_a_url_names_them(
    text: str, hosts: list[tuple[str | None, int | None]]
) -> None:
    url = parse_database_url(text)
    assert hosts_of(url) == hosts
    assert parse_database_url(plain_dsn(url)) == url


def test_a_host_of_parts_is_taken_as_it_is() -> None:
    url = url_from_parts(user="me", password="p@s,s", host="::1", port=7, database="x")
    assert (hosts_of(url), url.password) == ([("::1", 7)], "p@s,s")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("secret", "is not a URL: write postgresql://USER:PASSWORD@HOST/NAME"),
        ("mysql://me:secret@db/x", "mysql:// is not a Postgres URL"),
        ("postgresql://me:secret@db", "names no database"),
        ("postgresql://me:secret@db:port/x", "the port is not a number"),
        ("postgresql://me:secret@a:1,b:port/x", "a host in the list, or its port, cannot be read"),
        ("postgresql://me:secret@a:1,/x", "a host in the list is empty"),
        ("postgresql://me:secret@a:1,b:70000/x", "a port is a number from 1 to 65535"),
        (f"{PLAIN}?host=a,b&port=1,2,3", "names 2 hosts and 3 ports"),
        (f"{PLAIN}?sslmod=require", "the parameter sslmod is not known, leave it out; known are"),
        (f"{PLAIN}?sslmode=on", "sslmode is one of disable, allow, prefer, require, verify-ca,"),
        (f"{PLAIN}?sslmode=require&sslmode=disable", "sslmode is given twice"),
        (f"{PLAIN}?channel_binding=require", "channel_binding=require is more than the driver can"),
        (f"{PLAIN}?channel_binding=yes", "channel_binding is one of disable, prefer"),
        (f"{PLAIN}?connect_timeout=0", "connect_timeout is a number of seconds from 1 to 600"),
        (f"{PLAIN}?connect_timeout=2s", "connect_timeout is a number of seconds from 1 to 600"),
        (f"{PLAIN}?connect_timeout=%C2%B2", "connect_timeout is a number of seconds"),
        (f"{PLAIN}?target_session_attrs=master", "target_session_attrs is one of any, primary,"),
        (f"{PLAIN}?sslrootcert=system&sslmode=require", "sslrootcert=system goes with sslmode="),
        (f"{PLAIN}?sslkey=/k", "sslkey is given without sslcert"),
    ],
)
def test_an_address_that_cannot_be_used_is_one_sentence_without_the_password(
    text: str, sentence: str
) -> None:
    with pytest.raises(DatabaseUrlError) as refusal:
        parse_database_url(text)
    assert str(refusal.value).startswith(sentence)
    assert "\n" not in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_people_read_every_host() -> None:
    assert place_of(parse_database_url("postgresql://a:1,b:2/x")) == "a:1, b:2"


def test_a_file_that_cannot_be_read_is_named_with_its_parameter(tmp_path: Path) -> None:
    missing = tmp_path / "ca.pem"
    url = parse_database_url(f"{PLAIN}?sslmode=verify-full&sslrootcert={missing}")
    said = describe_refusal(FileNotFoundError(2, "No such file or directory"), url)
    assert said == f"sslrootcert names {missing}: No such file or directory"
