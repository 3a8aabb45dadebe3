"""The staff finds purchases by what a caller on the telephone can tell.

The services that own personal data compare it, through their keyed indexes, and return it masked.
Names are compared with those of the portal's own users.
"""

import asyncio
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

from services.portal.application.ports import Wanted
from services.portal.domain.ids import as_id
from services.portal.domain.timeline import Purchase, Sought
from services.portal.domain.user import OPERATOR, User, words_of
from services.portal.infrastructure.peers.attention_desk import AttentionDesk
from services.portal.infrastructure.peers.client import PeerRefusal, Peers, PeerUnavailable
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork, Store

SHOWN = 25
MOST_NAMED = 200
"""A search covers the purchases of at most this number of users of one name."""
MOST_COUNTED = 99
SIDE_BY_SIDE = 5
BUYERS_SECONDS = 4.0
"""A list waits this long for its buyers, in seconds, and is then shown without them."""

STUCK, ATTENTION = "stuck", "attention"
QUIET: Mapping[str, timedelta] = {
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
}

_DOCUMENT = re.compile(r"\d{11}|[0-9A-Z]{12}\d{2}")
_PLATE = re.compile(r"[A-Z]{3}\d[0-9A-Z]\d{2}")
_CODE = re.compile(r"[0-9A-Z]{16}")


@dataclass(frozen=True)
class Buyer:
    """A buyer is a customer's record, masked. `id` is the customer's; a text is None where it
    cannot be read. Amounts are in cents.
    """

    id: UUID
    name: str | None
    email: str | None
    document: str | None
    phone: str | None
    limit_cents: int
    available_cents: int


@dataclass(frozen=True)
class Row:
    """`asks` is true where the payment or the payout waits for a person."""

    purchase: Purchase
    buyer: Buyer | None
    stuck: bool
    asks: bool


@dataclass(frozen=True)
class Found:
    """`older` says that there are more. `stuck` is the number of stuck purchases in all, up to
    MOST_COUNTED. `down` are the services that did not answer. `exact` is the one purchase whose
    number or code was typed.
    """

    rows: Sequence[Row]
    older: bool
    stuck: int
    down: Sequence[str]
    exact: UUID | None = None


@dataclass(frozen=True)
class _Meaning:
    """What was typed means ids of purchases, customers and vehicles, or words."""

    of: Collection[UUID] | None = None
    words: Sequence[str] = ()
    down: Sequence[str] = ()
    is_exact: bool = False


@dataclass(frozen=True)
class _Buyers:
    known: Mapping[UUID, Buyer] = field(default_factory=dict)
    down: Sequence[str] = ()


class PurchaseFinder:
    def __init__(self, transactions: Store, peers: Peers, attention: AttentionDesk) -> None:
        self._transactions = transactions
        self._peers = peers
        self._attention = attention

    async def find(
        self, user: User, *, typed: str, state: str, quiet: str, after: UUID | None, now: datetime
    ) -> Found:
        """Find purchases. `state` is STUCK, ATTENTION, a phase or empty, `quiet` one of QUIET."""
        meaning = await self._understood(user, typed)
        asking = await self._asking(user)
        sought = Sought(
            phase=state if state not in ("", STUCK, ATTENTION) else None,
            stuck_at=now if state == STUCK else None,
            quiet_since=now - QUIET[quiet] if quiet in QUIET else None,
            among=asking.ids if state == ATTENTION else None,
            of=meaning.of,
            words=meaning.words,
        )

        async def look(uow: PostgresPortalUnitOfWork) -> tuple[list[Purchase], int]:
            found = await uow.timeline.search(user.tenant_id, sought, after, SHOWN + 1)
            stuck = await uow.timeline.search(
                user.tenant_id, Sought(stuck_at=now), None, MOST_COUNTED
            )
            return found, len(stuck)

        found, stuck = await self._transactions.read_behind(look)
        shown = found[:SHOWN]
        buyers = await self._buyers(user, {each.customer_id for each in shown})
        rows = [
            Row(
                each,
                buyers.known.get(each.customer_id) if each.customer_id else None,
                each.is_stuck(now),
                each.id in asking.ids,
            )
            for each in shown
        ]
        named = meaning.of if meaning.is_exact and meaning.of else ()
        exact = next((each.id for each in found if each.id in named), None)
        down = dict.fromkeys([*meaning.down, *asking.down, *buyers.down])
        return Found(rows, len(found) > SHOWN, stuck, list(down), exact)

    async def buyer(self, user: User, customer_id: UUID | None) -> Buyer | None:
        """Return the buyer, or None where the data is not available."""
        return (await self._buyers(user, [customer_id])).known.get(customer_id or UUID(int=0))

    async def _understood(self, user: User, typed: str) -> _Meaning:
        typed = " ".join("".join(each for each in typed if each.isprintable()).split())[:200]
        tight = re.sub(r"[ .\-/]", "", typed).upper()
        if not typed:
            return _Meaning()
        try:
            if (named := as_id(typed)) is not None:
                return _Meaning([named], is_exact=True)
            if "@" in typed:
                return _Meaning(await self._customers(user, email=typed))
            if _DOCUMENT.fullmatch(tight):
                return _Meaning(await self._customers(user, document=typed))
            if _PLATE.fullmatch(tight):
                return _Meaning(await self._search(user, "vehicles", plate=typed))
            if _CODE.fullmatch(tight):
                return _Meaning(await self._of_code(user, typed), is_exact=True)
        except PeerUnavailable as error:
            return _Meaning([], down=[error.service])
        return _Meaning(await self._named(user, typed), typed.split())

    async def _customers(self, user: User, **body: str) -> list[UUID]:
        return await self._search(user, "customers", **body)

    async def _search(self, user: User, service: str, **body: str) -> list[UUID]:
        """Return the ids found. Text in the wrong form finds nothing. Raises PeerUnavailable."""
        try:
            reply = await self._peers.send(user, service, "POST", f"/{service}/search", body)
        except PeerRefusal:
            return []
        return [UUID(each["id"]) for each in reply.body["items"]]

    async def _of_code(self, user: User, code: str) -> list[UUID]:
        """Return the order of a payment code, if there is one. Raises PeerUnavailable."""
        try:
            reply = await self._peers.get(user, "payments", f"/payment-codes/{quote(code)}")
        except PeerRefusal:
            return []
        return [UUID(reply.body["order_id"])]

    async def _named(self, user: User, name: str) -> list[UUID]:
        """Return the customer records of the users with this name."""
        wanted = Wanted(words=words_of(name))
        if not wanted.words:
            return []
        found = await self._transactions.read(
            lambda uow: uow.users.page(user.tenant_id, None, MOST_NAMED, wanted=wanted)
        )
        return [each.customer_id for each in found if each.customer_id is not None]

    async def _asking(self, user: User) -> "_Asking":
        """Return what waits for a decision about money. Only operators decide, so others get
        nothing.
        """
        if not user.may(OPERATOR):
            return _Asking()
        waiting = await self._attention.listed(user)
        ids = frozenset(UUID(each.order_id) for each in waiting.shown if each.order_id)
        return _Asking(ids, waiting.silent)

    async def _buyers(self, user: User, ids: Iterable[UUID | None]) -> _Buyers:
        places = asyncio.Semaphore(SIDE_BY_SIDE)
        known: dict[UUID, Buyer] = {}
        down: list[str] = []

        async def one(customer_id: UUID) -> None:
            async with places:
                if down:
                    return
                try:
                    reply = await self._peers.get(user, "customers", f"/customers/{customer_id}")
                except PeerRefusal:
                    return
                except PeerUnavailable as error:
                    down.append(error.service)
                    return
            known[customer_id] = _buyer(reply.body)

        try:
            async with asyncio.timeout(BUYERS_SECONDS):
                await asyncio.gather(*(one(each) for each in ids if each is not None))
        except TimeoutError:
            down.append("customers")
        return _Buyers(known, down[:1])


@dataclass(frozen=True)
class _Asking:
    ids: frozenset[UUID] = frozenset()
    down: Sequence[str] = ()


def _buyer(body: Mapping[str, Any]) -> Buyer:
    return Buyer(
        id=UUID(body["id"]),
        **{name: body[name] for name in ("name", "email", "document", "phone")},
        limit_cents=body["credit_limit_cents"],
        available_cents=body["available_cents"],
    )
