"""A server that cannot be used is reported in one line without its password."""

from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from libs.runtime.broker_check import check_broker
from libs.runtime.database import check_database
from libs.runtime.start_failure import StartFailure
from tests.fixtures.servers import PostgresServer, RabbitMQServer
from tests.integration.runtime.notes import NotesSettings

DATABASE = "postgresql://me@127.0.0.1/x"


def settings(**given: Any) -> NotesSettings:
    return NotesSettings(_env_file=None, **{"database_url": DATABASE, "rabbitmq_url": ""} | given)


async def test_a_role_the_database_refuses(postgres_server: PostgresServer) -> None:
    name = f"test_user_{uuid4().hex}"
    connection = await asyncpg.connect(postgres_server.url)
    try:
        await connection.execute(f"CREATE ROLE {name} NOLOGIN")
        place = httpx.URL(postgres_server.url).copy_with(username=name, password="secret")
        with pytest.raises(StartFailure, match=f"refuses the user {name}") as failure:
            await check_database(settings(database_url=str(place), role="api"))
    finally:
        await connection.execute(f"DROP ROLE {name}")
        await connection.close()
    assert "secret" not in str(failure.value)


async def test_a_database_that_does_not_exist(postgres_server: PostgresServer) -> None:
    place = httpx.URL(postgres_server.url).copy_with(path="/nowhere")
    with pytest.raises(StartFailure, match="nowhere does not exist"):
        await check_database(settings(database_url=str(place), role="api"))


async def test_a_broker_that_refuses_the_password(rabbitmq_server: RabbitMQServer) -> None:
    url = str(httpx.URL(rabbitmq_server.url).copy_with(username="nobody", password="secret"))
    with pytest.raises(StartFailure, match="refuses the user nobody") as failure:
        await check_broker(settings(rabbitmq_url=url))
    assert "secret" not in str(failure.value)


async def test_a_vhost_that_does_not_exist(rabbitmq_server: RabbitMQServer) -> None:
    url = str(httpx.URL(rabbitmq_server.url).copy_with(path="/nowhere"))
    with pytest.raises(StartFailure, match="the vhost /nowhere"):
        await check_broker(settings(rabbitmq_url=url))


async def test_an_api_without_a_broker_starts() -> None:
    await check_broker(settings(role="api"))
