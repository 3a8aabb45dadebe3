"""Each rotation replaces passwords or keys of an installation while everything runs.

Services read their secrets in files, which `hand_out` writes. The next run completes an interrupted
one: the servers get the passwords that are in the file of all secrets.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import asyncpg

from deploy.installation import (
    ADMINISTRATOR,
    BACKUP,
    CHOREOGRAPHY,
    EXPORTER,
    OPERATOR,
    SUPERUSER,
    VHOST,
    Installation,
)
from deploy.rabbitmq import provision as rabbitmq
from deploy.services import SERVICES, ServiceSpec
from libs.messaging.saga.choreography import read
from libs.runtime.crypto import LOOK_AGAIN_SECONDS
from libs.runtime.start_failure import StartFailure

HandOut = Callable[[], None]


def rotate_database(installation: Installation, hand_out: HandOut) -> None:
    """Give new passwords to the superuser, the exporter, the backups and every service's roles.
    Existing connections go on. Raises the database's errors.
    """
    asyncio.run(_replace_the_superusers(installation))
    hand_out()
    print(f"{SUPERUSER}: a new password", flush=True)
    for spec in SERVICES:
        roles = [f"{spec.name}_migrator", f"{spec.name}_app"]
        roles += [f"{spec.name}_reader"] if spec.has_reader else []
        asyncio.run(_replace(installation, roles, hand_out))
        print(f"{spec.name}: new passwords for {', '.join(roles)}", flush=True)
    for role in (EXPORTER, BACKUP):
        asyncio.run(_replace(installation, [role], hand_out))
        print(f"{role}: a new password", flush=True)


def rotate_broker(installation: Installation, hand_out: HandOut) -> None:
    """Give new passwords to the administrator, the users of every service, and the operator. Raises
    httpx.HTTPError where the broker refuses.
    """
    administrator = f"rabbitmq {ADMINISTRATOR}"
    upcoming = installation.passwords.upcoming(administrator)
    asyncio.run(rabbitmq.change_own_password(installation.management_url, upcoming))
    installation.passwords.settle(administrator)
    hand_out()
    print(f"{ADMINISTRATOR}: a new password", flush=True)
    for participant in read(CHOREOGRAPHY).participants:
        account = rabbitmq.BrokerAccount(
            participant.name,
            installation.passwords.replace(f"rabbitmq {participant.name}"),
            [event.type for event in participant.publishes],
        )
        asyncio.run(rabbitmq.provision(installation.management_url, VHOST, [account]))
        hand_out()
        print(f"{participant.name}: a new password", flush=True)
    operator = rabbitmq.OperatorAccount(
        OPERATOR, installation.passwords.replace(f"rabbitmq {OPERATOR}")
    )
    asyncio.run(rabbitmq.provision(installation.management_url, VHOST, [], operator))
    hand_out()
    print(f"{OPERATOR}: a new password", flush=True)


def rotate_tokens(installation: Installation, _: HandOut) -> None:
    """Sign with a new key; the one before stays published until its tokens have expired. Raises
    StartFailure where the portal's command fails.
    """
    [portal] = [spec for spec in SERVICES if spec.is_portal]
    _command(installation, portal, "rotate-keys")


def rotate_data(installation: Installation, hand_out: HandOut) -> None:
    """Make a new data key for every service that seals. All sealed data is sealed again, and then
    the service loses the old key, which stays in the file of all secrets for older backups.

    Raises StartFailure where an old key is still needed; it is then kept.
    """
    for spec in SERVICES:
        if not spec.seals_personal_data:
            continue
        name = f"{spec.name} data"
        installation.passwords.add_key(name)
        hand_out()
        time.sleep(2 * LOOK_AGAIN_SECONDS)  # until no process seals with the old one any more
        print(f"{spec.name}:", flush=True)
        _command(installation, spec, "re-seal")
        installation.passwords.retire_old_keys(name)
        hand_out()


ROTATIONS = {
    "database": rotate_database,
    "broker": rotate_broker,
    "tokens": rotate_tokens,
    "data": rotate_data,
}


def _command(installation: Installation, spec: ServiceSpec, word: str) -> None:
    environment = {**os.environ, **installation.settings(spec, "127.0.0.1", spec.port)}
    command = [sys.executable, "-m", f"services.{spec.name}.main", word]
    if subprocess.run(command, env=environment, check=False).returncode:
        raise StartFailure(f"{spec.name}: {word} failed, see above: no key was removed")


async def _replace(installation: Installation, roles: Sequence[str], hand_out: HandOut) -> None:
    """Write files first: a client that reads the new password tries again for a second. Then change
    server and PgBouncer together: connections from one to the other are refused in between.
    """
    connection = await asyncpg.connect(installation.superuser_url)
    pooler: asyncpg.Connection | None = None
    try:
        if url := installation.pooler_url:
            pooler = await asyncpg.connect(url)
        changes = [
            await _change(connection, role, installation.passwords.replace(role)) for role in roles
        ]
        hand_out()
        await connection.execute("; ".join(changes))
        if pooler is not None:
            await pooler.execute("RELOAD")
    finally:
        await connection.close()
        if pooler is not None:
            await pooler.close()


async def _replace_the_superusers(installation: Installation) -> None:
    """Also try the password that an interrupted earlier run has set."""
    upcoming = installation.passwords.upcoming(SUPERUSER)
    try:
        connection = await asyncpg.connect(installation.superuser_url)
    except asyncpg.InvalidPasswordError:
        connection = await asyncpg.connect(installation.superuser_url, password=upcoming)
    try:
        await connection.execute(await _change(connection, SUPERUSER, upcoming))
    finally:
        await connection.close()
    installation.passwords.settle(SUPERUSER)


async def _change(connection: asyncpg.Connection, role: str, password: str) -> str:
    secret = await connection.fetchval("SELECT quote_literal($1)", password)
    return f"ALTER ROLE {role} PASSWORD {secret}"
