"""The portal runs as a process; only this module puts its parts together.

python -m services.portal.main                         serve (ROLE: all, api, worker, relay)
python -m services.portal.main re-seal                 after a change of DATA_KEYS
python -m services.portal.main --help                  users, tokens and keys from a terminal
"""

import sys
from functools import partial

import httpx
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions
from libs.messaging.saga.choreography import Choreography
from libs.runtime.data_keys import Indexed, Sealed
from libs.runtime.database import create_engine
from libs.runtime.replica import Replica
from libs.runtime.server import RESEAL, main
from libs.runtime.service import Service
from libs.runtime.written_choreography import read_choreography
from services.portal.infrastructure import http
from services.portal.infrastructure.consumers import participant
from services.portal.infrastructure.identity import sessions
from services.portal.infrastructure.identity.passwords import Argon2Passwords
from services.portal.infrastructure.identity.signed_tokens import Tokens
from services.portal.infrastructure.peers.client import Peers, trusted_with
from services.portal.infrastructure.settings import PortalSettings
from services.portal.infrastructure.store import backups, keeping
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork
from services.portal.infrastructure.store.vault import Vault
from services.portal.infrastructure.tables import TABLES, signing_keys, submissions, users
from services.portal.infrastructure.web import assets, http_sessions
from services.portal.infrastructure.web.back_office import back_office
from services.portal.infrastructure.web.front_office import front_office
from services.portal.infrastructure.web.templating import FOR_TLS, HEADERS
from services.portal.infrastructure.web.watch import TimelineWatch


def connect(settings: PortalSettings) -> Transactions[PostgresPortalUnitOfWork]:
    """Return the transactions. Raises StartFailure where the choreography cannot be read."""
    choreography = read_choreography(settings.choreography)
    return _transactions(settings, create_engine(settings), choreography)


def _transactions(
    settings: PortalSettings,
    engine: AsyncEngine,
    choreography: Choreography,
    replica: Replica | None = None,
) -> Transactions[PostgresPortalUnitOfWork]:
    vault = Vault(settings.data_keys, settings.index_key)
    return Transactions(
        engine,
        Outbox(settings.service, TABLES),
        partial(PostgresPortalUnitOfWork, vault=vault, compensations=choreography.compensations),
        copy=replica,
    )


def build(settings: PortalSettings) -> Service[PostgresPortalUnitOfWork]:
    choreography = read_choreography(settings.choreography)
    engine = create_engine(settings)
    standby = settings.standby_dsn
    replica = Replica(settings, standby, engine) if standby else None
    transactions = _transactions(settings, engine, choreography, replica)
    tokens = Tokens(transactions, settings)
    passwords = Argon2Passwords()
    own_sessions = sessions.Sessions(
        transactions, settings, Vault(settings.data_keys, settings.index_key)
    )
    watch = TimelineWatch(transactions)
    peers = Peers(settings.addresses, tokens.mint)
    client = httpx.AsyncClient(
        verify=trusted_with(settings.rabbitmq_management_url), trust_env=False
    )
    office_routers, office_loops = back_office(
        transactions, settings, peers, passwords, client, choreography
    )

    def install(app: FastAPI) -> None:
        app.state.sessions = own_sessions
        app.exception_handler(sessions.SignInRequired)(sessions.to_sign_in)

    return Service(
        settings=settings,
        headers={**HEADERS, **(FOR_TLS if settings.secure_cookies else {})},
        description="What the pages of the market are made from, for programs.",
        tags={
            "portal": "Health, submissions, audits, timelines of purchases.",
            "sessions": "Sign in and out; tokens for the other services.",
        },
        participant=participant(),
        choreography=choreography,
        tables=TABLES,
        transactions=transactions,
        routers=[
            http.router(transactions, watch),
            http_sessions.router(transactions, settings, tokens, passwords),
            *front_office(transactions, settings, peers, passwords, watch),
            *office_routers,
        ],
        loops=[*keeping.loops(transactions), backups.loop(transactions), *office_loops],
        own_partitions=keeping.months(settings),
        sealed=Sealed(
            settings.data_keys,
            [users.c.name, users.c.email, signing_keys.c.private_key, submissions.c.sealed_content],
            Indexed(users.c.email_index, Vault(settings.data_keys, settings.index_key).finds),
        ),
        authenticator=sessions.PortalAuthenticator(settings, tokens, own_sessions),
        closing=[peers.close, client.aclose],
        install=install,
        replica=replica,
        unplaced=lambda path: path.startswith("/static/") or path in assets.AT_THE_ROOT,
        streams=lambda path: path.endswith("/events"),
        forms=True,
    )


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1:] != [RESEAL]:
        from services.portal.infrastructure.terminal import run

        run(sys.argv[1:], connect)
    else:
        main(PortalSettings, build)
