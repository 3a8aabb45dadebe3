"""Certificates of the running servers, made anew while everything goes on."""

import asyncio
from datetime import datetime

import asyncpg

from deploy.certificates import ends
from deploy.local import containers, postgres, rabbitmq
from deploy.local.engine import Runtime
from deploy.local.lifecycle import System
from deploy.local.state import NotUp
from libs.messaging.database import DATABASE_ERRORS, describe_refusal
from libs.messaging.database_url import parse_database_url


def renew(system: System) -> dict[str, datetime]:
    """Until when each server's new certificate is good. Connections go on with the old ones.

    Raises NotUp where nothing speaks TLS or a server is away, and StartFailed.
    """
    if not system.state.tls:
        raise NotUp("nothing speaks TLS here: TLS=required ./taskw up starts a system that does")
    if system.state.runtime is Runtime.CONTAINERS:
        return containers.renew_certificates(system.folder)
    authority = system.state.authority(system.folder)
    rabbitmq.renew_certificate(system.folder, authority)
    postgres.renew_certificate(system.folder, authority)
    url = system.installation.superuser_url
    try:
        asyncio.run(_reload(url))
    except DATABASE_ERRORS as error:
        raise NotUp(describe_refusal(error, parse_database_url(url))) from None
    return {
        "Postgres": ends(postgres.data_folder(system.folder) / postgres.CERTIFICATE),
        "RabbitMQ": ends(system.folder / "rabbitmq" / rabbitmq.CERTIFICATE),
    }


async def _reload(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()
