"""The services' command lines run as processes: the tools know nothing of their internals."""

import asyncio
import os
import sys
from collections.abc import Mapping

from deploy.installation import ROOT, Installation
from deploy.services import service_named


class CommandRefused(Exception):
    """The command failed. The text is its own line."""


async def command(
    installation: Installation,
    service: str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    given: str = "",
) -> str:
    """Return the output of `python -m services.SERVICE.main ARGUMENTS`, which reads `given` from
    its standard input. Raises CommandRefused where it fails.
    """
    settings = installation.settings(service_named(service), "127.0.0.1", 0)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"services.{service}.main", *arguments),
        cwd=ROOT,
        env={**os.environ, "AUTH": "off", **settings, **(environment or {})},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(given.encode())
    if process.returncode:
        raise CommandRefused(errors.decode().strip() or f"exit code {process.returncode}")
    return output.decode().strip()
