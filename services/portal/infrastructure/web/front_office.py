"""The pages of buyers and sellers are put together here."""

from collections.abc import Sequence

from fastapi import APIRouter

from services.portal.application.ports import PasswordHasher
from services.portal.infrastructure.identity.mail import ConsoleMail
from services.portal.infrastructure.peers.attention_desk import AttentionDesk
from services.portal.infrastructure.peers.client import Peers
from services.portal.infrastructure.peers.purchase_finder import PurchaseFinder
from services.portal.infrastructure.settings import PortalSettings
from services.portal.infrastructure.store.postgres import Store
from services.portal.infrastructure.web import assets
from services.portal.infrastructure.web.auditing import Auditing
from services.portal.infrastructure.web.http_sessions import SignIns
from services.portal.infrastructure.web.pages import (
    account,
    credit,
    entrance,
    forgotten,
    live,
    purchases,
    sales,
    selling,
    storefront,
)
from services.portal.infrastructure.web.watch import TimelineWatch


def front_office(
    transactions: Store,
    settings: PortalSettings,
    peers: Peers,
    passwords: PasswordHasher,
    watch: TimelineWatch,
) -> Sequence[APIRouter]:
    mailer = ConsoleMail() if settings.mailer == "console" else None
    auditing, sign_ins = Auditing(transactions), SignIns(transactions, settings, passwords)
    finder = PurchaseFinder(transactions, peers, AttentionDesk(peers))
    return [
        assets.router,
        storefront.router(peers, auditing),
        purchases.router(peers, auditing),
        live.router(transactions, peers, watch, finder),
        selling.router(transactions, peers, auditing),
        sales.router(transactions),
        account.router(transactions, peers, auditing, passwords),
        credit.router(peers, auditing),
        entrance.router(transactions, passwords, sign_ins),
        forgotten.router(transactions, passwords, mailer, settings.public_address),
    ]
