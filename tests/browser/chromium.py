"""Drives Debian's Chromium by Playwright. apt-get installs it where that is allowed."""

import os
import shutil
import subprocess
from pathlib import Path

from playwright.async_api import Page

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_MILLISECONDS = 20_000


def install_chromium() -> str | None:
    """Install Chromium. Returns the reason when that fails, else None."""
    if CHROMIUM.exists():
        return None
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return f"{CHROMIUM} is missing: install Debian's package chromium"
    install = ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]
    for command in (["apt-get", "update"], install):
        run = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if run.returncode != 0:
            return f"{' '.join(command)} failed: {run.stderr.strip()[-300:]}"
    return None


async def fits(page: Page) -> None:
    """Check that nothing on the page scrolls sideways. Wait while the page loads itself again."""
    await page.wait_for_function(
        "document.documentElement?.scrollWidth <= document.documentElement?.clientWidth"
    )
