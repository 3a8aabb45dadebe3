"""The pages of operators and admins are put together here, and the worker that runs the imports."""

from functools import partial

import httpx
from fastapi import APIRouter

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.messaging.broker_url import vhost_of
from libs.messaging.saga.choreography import Choreography
from libs.runtime.loops import Loop
from services.portal.application.import_vehicles import VehicleImports
from services.portal.application.ports import PasswordHasher
from services.portal.infrastructure.peers.attention_desk import AttentionDesk
from services.portal.infrastructure.peers.client import Peers
from services.portal.infrastructure.peers.dead_letter_desk import DeadLetterDesk
from services.portal.infrastructure.peers.given_up_desk import GivenUpDesk
from services.portal.infrastructure.peers.management import ManagementApi
from services.portal.infrastructure.peers.probes import Probes
from services.portal.infrastructure.peers.purchase_finder import PurchaseFinder
from services.portal.infrastructure.peers.vehicle_market import SERVICE, VehicleMarket
from services.portal.infrastructure.settings import PortalSettings
from services.portal.infrastructure.store.postgres import Store
from services.portal.infrastructure.web.auditing import Auditing
from services.portal.infrastructure.web.pages import (
    admin,
    all_purchases,
    attention,
    dead_letters,
    given_up,
    imports,
    kpis,
    nowhere,
    operations,
    user_page,
)
from services.portal.infrastructure.web.pages import map as map_pages

IMPORT_SECONDS = 1.0


def back_office(
    transactions: Store,
    settings: PortalSettings,
    peers: Peers,
    passwords: PasswordHasher,
    client: httpx.AsyncClient,
    choreography: Choreography,
) -> tuple[list[APIRouter], list[Loop]]:
    """Return the pages, and what runs in the background. The caller closes `client`."""
    vhost = vhost_of(settings.rabbitmq_operator_url)
    broker = ManagementApi(settings.current_management, vhost, client)
    own = {settings.service: f"http://{settings.host}:{settings.port}"}
    probes = Probes({**settings.addresses, **own}, client)
    desk = DeadLetterDesk(choreography.participants, settings.current_operator)
    given_up_events, attention_desk = GivenUpDesk(transactions, peers), AttentionDesk(peers)
    auditing, finder = Auditing(transactions), PurchaseFinder(transactions, peers, attention_desk)
    vehicle_market = VehicleMarket(peers)
    vehicle_imports = VehicleImports(transactions, vehicle_market, clock=utc_now, new_id=uuid7)
    importing = Loop("vehicle imports", IMPORT_SECONDS, vehicle_imports.turn)
    routers = [
        all_purchases.router(finder),
        operations.router(transactions, broker, probes, desk, given_up_events, attention_desk),
        dead_letters.router(transactions, desk),
        given_up.router(auditing, given_up_events),
        attention.router(auditing, attention_desk),
        map_pages.router(choreography, broker, probes),
        kpis.router(peers, auditing),
        imports.router(
            transactions, vehicle_market, importing.wake, partial(probes.lives, SERVICE)
        ),
        admin.router(transactions, passwords),
        user_page.router(transactions, peers, passwords),
        nowhere.router(),
    ]
    return routers, [importing]
