"""Replaces the passwords and keys of an installation while everything runs, each by one command.

Services read their secrets in files, which `hand_out` writes. Whatever is cut off half-way is put
right by the next run: a password of the file of all is the one that servers get.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable

import asyncpg

from deploy.installation import CHOREOGRAPHY, OPERATOR, VHOST, Installation
from deploy.rabbitmq import provision as rabbitmq
from deploy.services import SERVICES, ServiceSpec
from libs.messaging.saga.choreography import read
from libs.runtime.crypto import LOOK_AGAIN_SECONDS
from libs.runtime.failure import StartFailure

HandOut = Callable[[], None]


def rotate_database(installation: Installation, hand_out: HandOut) -> None:
    """New passwords for the roles of every service: what is connected stays so. Raises what the
    database raises.
    """
    for spec in SERVICES:
        roles = [f"{spec.name}_migrator", f"{spec.name}_app"]
        roles += [f"{spec.name}_reader"] if spec.has_reader else []
        fresh = {role: installation.passwords.replace(role) for role in roles}
        asyncio.run(_change_passwords(installation.superuser_url, fresh))
        hand_out()
        print(f"{spec.name}: new passwords for {', '.join(roles)}", flush=True)


def rotate_broker(installation: Installation, hand_out: HandOut) -> None:
    """New passwords for the users of every service, and for the operator's. Raises
    httpx.HTTPError.
    """
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
    """Sign with a new key; the one before is published until its tokens have expired. Raises
    StartFailure.
    """
    [portal] = [spec for spec in SERVICES if spec.is_portal]
    _command(installation, portal, "rotate-keys")


def rotate_data(installation: Installation, hand_out: HandOut) -> None:
    """A new data key for every service that seals: all it has sealed is sealed anew, and then the
    old key is taken from it. It stays in the file of all, for backups from before.

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
        raise StartFailure(f"{spec.name}: {word} failed, see above: nothing was taken away")


async def _change_passwords(superuser_url: str, passwords: dict[str, str]) -> None:
    connection = await asyncpg.connect(superuser_url)
    try:
        for role, password in passwords.items():
            secret = await connection.fetchval("SELECT quote_literal($1)", password)
            await connection.execute(f"ALTER ROLE {role} PASSWORD {secret}")
    finally:
        await connection.close()
