"""Uses several replicas of the portal as an admin with one session."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from deploy.demo.people import ADMIN
from tests.e2e.replicas.system import Replicated

REQUEST_SECONDS = 30.0


def credentials(system: Replicated) -> dict[str, str]:
    return {"email": ADMIN.email, "password": system.installation.sign_in_password(ADMIN.role)}


@asynccontextmanager
async def browsers(system: Replicated) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Yield a browser at each replica. All have the session of one sign-in at the first."""
    async with AsyncExitStack() as stack:
        each = [
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=address, timeout=REQUEST_SECONDS, trust_env=False)
            )
            for address in system.apis("portal")
        ]
        answer = await each[0].post("/api/sessions", json=credentials(system))
        assert answer.status_code == 201, answer.text
        for browser in each:
            browser.cookies.update(each[0].cookies)
            browser.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
        yield each
