"""Lighthouse, fetched by npm and run on Debian's Chromium."""

import asyncio
import json
import os
import shutil
from collections.abc import Mapping, Sequence

from playwright.async_api import Page

from tests.browser.chromium import CHROMIUM

LIGHTHOUSE = "lighthouse@12.8.2"
"""The newest for Node 18 and 20, which distributions have."""
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
FETCH_SECONDS, RUN_SECONDS = 300, 120


class RunFailed(Exception):
    """Lighthouse made no report."""


async def missing() -> str | None:
    """Why there is no Lighthouse; None when there is one now."""
    if shutil.which("npx") is None:
        return "npx is missing: install Node.js with npm"
    code, said = await _npx("--version", seconds=FETCH_SECONDS)
    return None if code == 0 else f"npx {LIGHTHOUSE} failed: {said.strip()[-300:]}"


async def scores(page: Page, url: str, *, phone: bool) -> Mapping[str, int]:
    """From 0 to 100 by category, of the page as who is signed in on `page` sees it."""
    cookies = await page.context.cookies()
    cookie = "; ".join(f"{each['name']}={each['value']}" for each in cookies)
    form = [] if phone else ["--preset=desktop"]
    code, report = await _npx(
        url,
        "--output=json",
        "--quiet",
        f"--only-categories={','.join(CATEGORIES)}",
        f"--extra-headers={json.dumps({'Cookie': cookie})}",
        "--chrome-flags=--headless --no-sandbox --disable-gpu --disable-dev-shm-usage",
        *form,
        seconds=RUN_SECONDS,
    )
    if code != 0:
        raise RunFailed(report[-300:])
    found = json.loads(report)["categories"]
    return {name: round(100 * (found[name]["score"] or 0)) for name in CATEGORIES}


async def _npx(*arguments: str, seconds: float) -> tuple[int | None, str]:
    command: Sequence[str] = ("npx", "--yes", LIGHTHOUSE, *arguments)
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "CHROME_PATH": str(CHROMIUM)},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    except TimeoutError:
        os.killpg(process.pid, 9)
        await process.wait()
        return None, f"no answer within {seconds} seconds"
    return process.returncode, (out if process.returncode == 0 else err).decode()
