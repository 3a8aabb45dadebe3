"""These endpoints list the events that a relay gave up and send one again. Every service that
publishes has them.

An event belongs to the tenant its body names, and to the default one where it names none.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.kernel.clock import utc_now
from libs.kernel.errors import Conflict, NotFound
from libs.messaging.dead_letters.given_up import (
    GivenUp,
    GivenUpError,
    MayBeHandled,
    NotGivenUp,
    given_up,
    send_again,
)
from libs.runtime.auth import DEFAULT_TENANT, Caller, CallerDep
from libs.runtime.database import driver_of
from libs.runtime.declared import refuses
from libs.runtime.routes import api_router
from libs.runtime.schemas import Body, Out

MOST_LISTED = 100
PATH = "/outbox/given-up"
TAGS = {"outbox": "Events that the relay gave up."}

log = structlog.get_logger(__name__)


class GivenUpNotFound(NotFound):
    code = "given-up-event-not-found"
    text = "There is no such given-up event."


class CopyMayBeHandled(Conflict):
    code = "copy-may-be-handled"
    text = "No inbox knows any more whether it was handled, and a new id has a new effect."

    def __init__(self) -> None:
        super().__init__(field="not_handled")


class CannotBeSent(Conflict):
    """`detail` says why the event cannot be sent."""

    code = "event-cannot-be-sent-again"
    text = "The event cannot be sent again."


class GivenUpOut(Out):
    id: UUID
    type: str
    subject: str
    created_at: datetime
    error: str
    behind: Annotated[int, Field(description="How many events of its subject wait for it")]
    needs_new_id: Annotated[
        bool, Field(description="No inbox knows its id any more: `not_handled` is needed")
    ]


class GivenUpList(Out):
    items: list[GivenUpOut]
    total: Annotated[int, Field(description="Of the tenant; `items` are the oldest of them")]


class SendAgain(Body):
    not_handled: Annotated[
        bool, Field(strict=True, description="Somebody looked: no copy of it was handled")
    ] = False


class SentAgainOut(Out):
    id: UUID
    new_id: Annotated[UUID | None, Field(description="Where it goes out under a new id")]
    subject: str


class Endpoints:
    def __init__(self, engine: AsyncEngine, tenant_attribute: str) -> None:
        self._engine = engine
        self._tenant_attribute = tenant_attribute

    @refuses(401, 403)
    async def listed(self, caller: CallerDep) -> GivenUpList:
        """List the tenant's oldest 100, the oldest first. The caller is operator or admin."""
        caller.require("operator", "admin")
        async with self._engine.connect() as connection:
            found = await given_up(await driver_of(connection), utc_now())
        own = [each for each in found if self._belongs_to(caller, each)]
        return GivenUpList(items=[_shown(each) for each in own[:MOST_LISTED]], total=len(own))

    @refuses(401, 403, 404, 409)
    async def send_again(self, event_id: UUID, body: SendAgain, caller: CallerDep) -> SentAgainOut:
        """Send it, and what waits behind it, at the relay's next claim. An event that no inbox
        knows any more goes out under a new id, and has its effect twice if a copy was handled.
        """
        caller.require("operator", "admin")
        async with self._engine.connect() as connection:
            driver, now = await driver_of(connection), utc_now()
            found = await given_up(driver, now, event_id)
            own = next((each for each in found if self._belongs_to(caller, each)), None)
            if own is None:
                raise GivenUpNotFound
            try:
                gone = await send_again(driver, event_id, now, not_handled=body.not_handled)
            except NotGivenUp:
                raise GivenUpNotFound from None
            except MayBeHandled:
                raise CopyMayBeHandled from None
            except GivenUpError as error:
                raise CannotBeSent(str(error)) from None
        new_id = next(each.new_id for each in gone if each.id == event_id)
        log.info("given-up event sent again", event_id=str(event_id), by=caller.subject)
        return SentAgainOut(id=event_id, new_id=new_id, subject=own.subject)

    def _belongs_to(self, caller: Caller, event: GivenUp) -> bool:
        return (event.envelope.get(self._tenant_attribute) or DEFAULT_TENANT) == caller.tenant_id


def router(engine: AsyncEngine, *, tenant_attribute: str) -> APIRouter:
    """Return the endpoints. `tenant_attribute` is the CloudEvents attribute that names a tenant."""
    routes, to = api_router(tags=["outbox"]), Endpoints(engine, tenant_attribute)
    routes.get(PATH, response_model=GivenUpList, operation_id="list_given_up_events")(to.listed)
    routes.post(
        f"{PATH}/{{event_id}}/send-again",
        response_model=SentAgainOut,
        operation_id="send_given_up_event_again",
    )(to.send_again)
    return routes


def _shown(event: GivenUp) -> GivenUpOut:
    return GivenUpOut(
        id=event.id,
        type=event.type,
        subject=event.subject,
        created_at=event.created_at,
        error=event.error,
        behind=event.behind,
        needs_new_id=event.forgotten is not None,
    )
