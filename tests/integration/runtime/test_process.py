"""A service process answers real clients, ends in order on signals, and refuses to
start in one line.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import aio_pika
import asyncpg
import httpx

from deploy.servers.ports import Ports
from tests.fixtures.polling import eventually

ROOT = Path(__file__).parents[3]


@dataclass
class Process:
    process: asyncio.subprocess.Process
    url: str
    log: IO[bytes]

    async def end(self) -> tuple[int, str]:
        """Return the exit code, and what the process wrote to stderr."""
        code = await asyncio.wait_for(self.process.wait(), 30)
        self.log.seek(0)
        return code, self.log.read().decode()


@asynccontextmanager
async def started(environment: Mapping[str, str]) -> AsyncIterator[Process]:
    """Yield the notes service as a process, which is killed at the end if it still runs."""
    ports = Ports()  # the port is held until the process ends
    port = environment.get("PORT") or str(ports.pick())
    with TemporaryFile() as log:  # a pipe that nobody reads would stop the process
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.integration.runtime.notes",
            cwd=ROOT,
            env={"PATH": os.defpath, "PORT": port, **environment},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=log,
        )
        try:
            yield Process(process, f"http://127.0.0.1:{port}", log)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def until_ready(process: Process, path: str = "/ready") -> None:
    async def ready() -> bool:
        assert process.process.returncode is None, await process.end()
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(process.url + path)).status_code == 200
        except httpx.TransportError:
            return False

    await eventually(ready, timeout=30)


@asynccontextmanager
async def api(database: str, **environment: str) -> AsyncIterator[Process]:
    async with started({"DATABASE_URL": database, "ROLE": "api", **environment}) as process:
        await until_ready(process)
        yield process


async def curl(*arguments: str) -> str:
    """Return what curl prints: the status line, headers and body."""
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "-i", "--max-time", "20", *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return output.decode()


async def test_curl_with_its_default_content_type_is_understood(notes_database: str) -> None:
    async with api(notes_database) as process:
        answer = await curl("-X", "POST", f"{process.url}/notes", "-d", '{"text": "milk"}')
        assert answer.startswith("HTTP/1.1 201")
        text = ["-H", "Content-Type: text/plain", "-d", '{"text": "milk"}']
        assert (await curl(f"{process.url}/notes", *text)).startswith("HTTP/1.1 201")


async def test_a_large_body_is_refused_with_or_without_a_content_length(
    notes_database: str, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * 5_000_000)
    async with api(notes_database) as process:
        for more in ([], ["-H", "Transfer-Encoding: chunked"]):
            data = ["-H", "Expect:", "--data-binary", f"@{large}"]
            answer = await curl("-X", "POST", f"{process.url}/notes", *more, *data)
            assert answer.startswith("HTTP/1.1 413"), answer[:300]
            assert "problem:body-too-large" in answer


async def test_pages_of_documentation_need_no_internet(notes_database: str) -> None:
    async with api(notes_database) as process, httpx.AsyncClient(base_url=process.url) as client:
        page = (await client.get("/docs")).text
        assert "https://" not in page
        for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
            assert asset in page
            assert (await client.get(f"/docs/assets/{asset}")).status_code == 200
        assert (await client.get("/asyncapi")).json()["asyncapi"].startswith("3.")
        assert "/notes" in (await client.get("/openapi.json")).json()["paths"]
        assert (await client.get("/health")).json() == {"status": "ok"}
        assert 'route="/notes",status' not in (await client.get("/metrics")).text
        await client.get("/notes")
        metrics = (await client.get("/metrics")).text
        assert (
            'http_request_duration_seconds_count{method="GET",route="/notes",status="200"} 1.0'
            in metrics
        )
        assert "db_pool_connections" in metrics


async def test_sigterm_finishes_what_is_in_hand(notes_database: str) -> None:
    async with api(notes_database, SLOW_SECONDS="1") as process:
        taking = asyncio.create_task(curl(f"{process.url}/notes", "-d", '{"text": "milk"}'))
        await eventually(lambda: sleeping(notes_database))
        process.process.send_signal(signal.SIGTERM)
        assert (await taking).startswith("HTTP/1.1 201")
        code, log = await process.end()
    assert code == 0, log
    assert "Traceback" not in log


async def sleeping(database: str) -> bool:
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        return bool(
            await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(%'"
                " AND datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    finally:
        await connection.close()


async def test_a_fault_is_logged_without_the_values_it_is_about(notes_database: str) -> None:
    async with api(notes_database) as process:
        answer = await curl("-H", "X-Request-Id: 0123456789abcdef", f"{process.url}/notes/broken")
        assert "x-request-id: 0123456789abcdef" in answer
        process.process.send_signal(signal.SIGTERM)
        code, log = await process.end()
    assert code == 0
    (line,) = [line for line in log.splitlines() if "request failed" in line]
    assert "RuntimeError" in line
    assert "0123456789abcdef" in line
    assert "locals" not in line


async def refused(environment: Mapping[str, str]) -> str:
    """Return the one line with which the process ends."""
    async with started(environment) as process:
        code, log = await process.end()
    assert code == 2, log
    assert "Traceback" not in log
    (line,) = log.splitlines()
    assert line.startswith("error: ")
    return line


async def test_a_wrong_setting_is_one_line(database: str) -> None:
    line = await refused({"DATABASE_URL": database, "ROLE": "boss"})
    assert "ROLE" in line


async def test_a_database_that_is_down_is_one_line() -> None:
    url = f"postgresql://me:secret@127.0.0.1:{Ports().pick()}/x"
    line = await refused({"DATABASE_URL": url, "ROLE": "api"})
    assert "no database answers" in line
    assert "secret" not in line


async def test_keys_that_cannot_be_read_are_one_line(database: str) -> None:
    keys = {"AUTH": "on", "JWKS_URL": "/nowhere/jwks.json"}
    assert "/nowhere/jwks.json" in await refused({"DATABASE_URL": database, "ROLE": "api"} | keys)


async def test_a_port_in_use_is_one_line(database: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = await refused({"DATABASE_URL": database, "ROLE": "api", "PORT": port})
    assert f"port {port}" in line


async def test_a_broker_that_is_down_is_one_line(notes_database: str) -> None:
    url = f"amqp://me:secret@127.0.0.1:{Ports().pick()}/"
    line = await refused({"DATABASE_URL": notes_database, "RABBITMQ_URL": url})
    assert "no broker answers" in line
    assert "secret" not in line


async def test_written_spans_go_out_before_the_process_ends(
    notes_database: str, vhost: str
) -> None:
    environment = {"DATABASE_URL": notes_database, "RABBITMQ_URL": vhost}
    async with started(environment) as process:
        await until_ready(process, "/health")
        await declare_exchange(vhost)
        await until_ready(process)
        for _ in range(20):
            assert "201 Created" in await curl(f"{process.url}/notes", "-d", '{"text": "milk"}')
        process.process.send_signal(signal.SIGTERM)
        code, log = await process.end()
    assert code == 0, log
    connection = await asyncpg.connect(notes_database.replace("+asyncpg", ""))
    try:
        assert await connection.fetchval("SELECT count(*) FROM outbox") == 0
    finally:
        await connection.close()


async def declare_exchange(vhost: str) -> None:
    async with await aio_pika.connect(vhost) as connection, connection.channel() as channel:
        await channel.declare_exchange("notes", "topic", durable=True)
