"""A service works under load behind an old or a new nginx with default settings,
which terminates TLS.
"""

import asyncio
from collections import Counter
from urllib.parse import urlsplit

import httpx
import pytest

from tests.fixtures.nginx import nginx_before
from tests.integration.runtime.test_process import api
from tests.integration.runtime.test_tls import certificate_of

CLIENTS, REQUESTS = 20, 15


async def asked(url: str) -> Counter[str]:
    """Write and read at once with many clients, and return how many of each answer they got."""
    answers = Counter[str]()

    async def client() -> None:
        async with httpx.AsyncClient(base_url=url, verify=False, timeout=20) as each:
            for n in range(REQUESTS):
                answers[await outcome(each, "GET" if n % 2 else "POST")] += 1

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return answers


async def outcome(client: httpx.AsyncClient, method: str) -> str:
    """Return the answer to one request, which is retried while the service is busy."""
    body = {"text": "milk"} if method == "POST" else None
    while True:
        try:
            answer = await client.request(method, "/notes", json=body)
        except httpx.HTTPError as error:
            return type(error).__name__
        if answer.status_code != 503 or answer.json()["code"] != "busy":
            return f"{method} {answer.status_code}"


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("keeps", [False, True], ids=["old", "new"])
async def test_no_request_fails_behind_nginx_that_would_not_without_it(
    notes_database: str, keeps: bool
) -> None:
    async with api(notes_database, TRUSTED_PROXIES="127.0.0.1") as process:
        port = urlsplit(process.url).port
        assert port is not None
        with nginx_before(port, certificate=certificate_of("localhost"), keeps=keeps) as url:
            through, without = await asked(url), await asked(process.url)

    assert through == without
    assert through.keys() == {"GET 200", "POST 201"}


async def test_the_scheme_is_what_a_trusted_proxy_says_and_nobody_else(
    notes_database: str,
) -> None:
    for trusted, scheme in (("127.0.0.1", "https"), ("10.0.0.0/8", "http")):
        async with api(notes_database, TRUSTED_PROXIES=trusted) as process:
            port = urlsplit(process.url).port
            assert port is not None
            with nginx_before(port, certificate=certificate_of("localhost")) as url:
                async with httpx.AsyncClient(base_url=url, verify=False) as client:
                    answer = await client.get("/notes/")
                    place = urlsplit(answer.headers["Location"])

            assert (answer.status_code, place.scheme) == (307, scheme)
            assert place.netloc == urlsplit(url).netloc
