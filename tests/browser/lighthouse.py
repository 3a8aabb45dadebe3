"""Runs Lighthouse, fetched by npm, on Debian's Chromium."""

import asyncio
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from playwright.async_api import Page

from tests.browser.chromium import CHROMIUM

LIGHTHOUSE = "lighthouse@12.8.2"
"""This is the newest version for Node 18 and 20, which distributions have."""
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
FETCH_SECONDS, RUN_SECONDS = 300, 120
SLOWDOWN, HIGH_END = 4.0, 1500
"""From a machine with a benchmark index of 1500 and more to a mid-tier phone, as Lighthouse's guide
to throttling has it (https://github.com/GoogleChrome/lighthouse/blob/main/docs/throttling.md).
"""


class RunFailed(Exception):
    """`RunFailed` means that Lighthouse made no report."""


class TraceLost(RunFailed):
    """Chromium's trace sometimes has no beginning. Lighthouse then says to run again."""


async def missing() -> str | None:
    """Install Lighthouse. Returns the reason when that fails, else None."""
    if shutil.which("npx") is None:
        return "npx is missing: install Node.js with npm"
    code, said = await _npx("--version", seconds=FETCH_SECONDS)
    return None if code == 0 else f"npx {LIGHTHOUSE} failed: {said.strip()[-300:]}"


async def phone_slowdown(url: str) -> float:
    """Return how many times slower than this machine a mid-tier phone is: four times where the
    machine is a high-end desktop, less where it is not. A busy machine counts as a slow one.
    """
    report = await _report(url, "--only-categories=seo")
    index: float = report["environment"]["benchmarkIndex"]
    return max(1.0, SLOWDOWN * min(1.0, index / HIGH_END))


async def scores(page: Page, url: str, *, slowdown: float | None) -> Mapping[str, int]:
    """Return the scores (0 to 100) by category of the page as the user signed in on `page` sees it.
    The phone is `slowdown` times slower than this machine; without a `slowdown` it is a desktop.
    """
    cookies = await page.context.cookies()
    cookie = "; ".join(f"{each['name']}={each['value']}" for each in cookies)
    report = await _report(
        url,
        f"--only-categories={','.join(CATEGORIES)}",
        f"--extra-headers={json.dumps({'Cookie': cookie})}",
        "--preset=desktop"
        if slowdown is None
        else f"--throttling.cpuSlowdownMultiplier={slowdown}",
    )
    found = report["categories"]
    return {name: round(100 * (found[name]["score"] or 0)) for name in CATEGORIES}


async def _report(url: str, *options: str) -> dict[str, Any]:
    code, said = await _npx(
        url,
        "--output=json",
        "--quiet",
        "--chrome-flags=--headless --no-sandbox --disable-gpu --disable-dev-shm-usage",
        *options,
        seconds=RUN_SECONDS,
    )
    if code != 0:
        raise (TraceLost if "NO_NAVSTART" in said else RunFailed)(said[-300:])
    report: dict[str, Any] = json.loads(said)
    return report


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
