"""These fixtures belong to all tests. Servers start once per run, and only if a test needs them."""

import gc
import sys
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager

import pytest
import structlog
from xdist.remote import Producer
from xdist.workermanage import WorkerController

from libs.messaging import topology
from libs.messaging.saga.choreography import read
from libs.runtime.settings import CHOREOGRAPHY
from tests.fixtures.brokers import emptied, fresh_vhost
from tests.fixtures.loops import PatientLoop, opened
from tests.fixtures.scheduling import Scheduling, longest_first
from tests.fixtures.servers import (
    PostgresServer,
    RabbitMQServer,
    Servers,
    fresh_database,
    named_servers,
    own_temporary_folder,
    running_servers,
)
from tests.fixtures.whole_market import Databases, market_databases

SERVERS = pytest.StashKey[Servers]()
WHOLE_TOPOLOGY = topology.topology_of(read(CHOREOGRAPHY).participants)


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers in the controller of a parallel run, because it outlives its workers."""
    _log_plainly()
    if hasattr(config, "workerinput"):
        return
    owned = ExitStack()
    config.add_cleanup(owned.close)
    owned.enter_context(own_temporary_folder())
    if getattr(config.option, "dist", "no") != "no":
        config.stash[SERVERS] = owned.enter_context(running_servers())


def _log_plainly() -> None:
    """Log tracebacks without the values of variables, which take seconds for one error. The log
    goes to standard error, so that standard output has only what the program prints.
    """
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[*structlog.get_config()["processors"][:-1], plain],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # of the test that runs
    )


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], AbstractEventLoop]]:
    return {"patient": PatientLoop}


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)


def pytest_collection_finish() -> None:
    """Keep the collected tests out of garbage collection, which would take a tenth of the run to
    search them.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)  # after the tests were shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=longest_first)


def pytest_configure_node(node: WorkerController) -> None:
    servers: Servers = node.config.stash[SERVERS]
    rabbitmq = servers.rabbitmq
    node.workerinput["servers"] = [servers.postgres.url, rabbitmq.url, rabbitmq.management_url]


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Iterator[Servers]:
    shared = getattr(request.config, "workerinput", None)
    if shared:
        yield named_servers(*shared["servers"])
    else:
        with running_servers() as started:
            yield started


@pytest.fixture(scope="session")
def postgres_server(servers: Servers) -> PostgresServer:
    return servers.postgres


@pytest.fixture(scope="session")
def rabbitmq_server(servers: Servers) -> RabbitMQServer:
    return servers.rabbitmq


@pytest.fixture(scope="session")
def databases(postgres_server: PostgresServer) -> Iterator[Databases]:
    """Yield the databases of all services, as an installation makes them."""
    with market_databases(postgres_server.url) as made:
        yield made


@pytest.fixture
async def database(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """Yield the URL (`postgresql+asyncpg://`) of an empty database for this test alone."""
    async with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture
async def vhost(rabbitmq_server: RabbitMQServer) -> AsyncIterator[str]:
    """Yield the AMQP URL of a vhost for this test alone."""
    async with fresh_vhost(rabbitmq_server) as url:
        yield url


@asynccontextmanager
async def vhost_with_the_whole_topology(server: RabbitMQServer) -> AsyncIterator[str]:
    async with fresh_vhost(server) as url:
        await topology.apply(url, WHOLE_TOPOLOGY)
        yield url


@pytest.fixture(scope="session")
def whole_topology(rabbitmq_server: RabbitMQServer) -> Iterator[str]:
    with opened(vhost_with_the_whole_topology(rabbitmq_server)) as url:
        yield url


@pytest.fixture
async def market_broker(whole_topology: str) -> str:
    """Return the AMQP URL of a vhost with the empty queues, the exchanges and the bindings of all
    services. Declaring them takes seconds, so all tests of a worker share them; a test that changes
    them uses a `vhost` of its own.
    """
    await emptied(whole_topology, WHOLE_TOPOLOGY)
    return whole_topology
