"""The portal's own command line, run as a process: the tools know nothing of its internals."""

import asyncio
import os
import sys
from collections.abc import Mapping

from deploy.installation import Installation
from deploy.local.state import ROOT
from deploy.services import service_named


class PortalRefused(Exception):
    """The command failed; the text is its own line."""


async def portal(
    installation: Installation, *arguments: str, environment: Mapping[str, str] | None = None
) -> str:
    """The output of `python -m services.portal.main ARGUMENTS`. Raises PortalRefused."""
    settings = installation.settings(service_named("portal"), "127.0.0.1", 0)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.portal.main", *arguments),
        cwd=ROOT,
        env={**os.environ, "AUTH": "off", **settings, **(environment or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode:
        raise PortalRefused(errors.decode().strip() or f"exit code {process.returncode}")
    return output.decode().strip()
