"""All pages share a router whose refusals are pages too."""

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from libs.kernel.errors import CodedError
from libs.messaging.inbox.failures import summarize
from libs.runtime.handlers import DATABASE_TROUBLE, database_failed
from libs.runtime.problems import status_of
from services.portal.domain.user import User
from services.portal.infrastructure.identity.sessions import (
    SignInRequired,
    WrongCsrfToken,
    sessions_of,
    to_sign_in,
)
from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.peers.client import PeerRefusal, PeerUnavailable
from services.portal.infrastructure.web.pages.interrupted import go_on
from services.portal.infrastructure.web.templating import render

log = structlog.get_logger(__name__)

TITLES = {
    400: marked("This address is not right"),
    403: marked("Access denied"),
    404: marked("There is nothing here"),
    409: marked("This is not possible now"),
    503: marked("Just a moment"),
}
EXPLANATIONS = {
    400: marked("Something in the address or the form could not be read."),
    403: marked("Your account does not have the role for it, or the page is out of date."),
    404: marked("It does not exist, or it is not yours to see."),
    409: marked("Something has changed in the meantime. Reload the page to see where it stands."),
    503: marked("A service behind this page is not answering. Nothing is lost: try again."),
}
OTHER = marked("That did not work")


class PageRoute(APIRoute):
    """An error becomes a page in the visitor's language, because people read it."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except SignInRequired as error:
                return await go_on(request, None) or to_sign_in(request, error)
            except WrongCsrfToken as error:
                resumed = await go_on(request, await _whoever(request))
                return resumed or await problem_page(request, error.status)
            except PeerUnavailable as error:
                return await problem_page(request, 503, service=error.service)
            except PeerRefusal as error:
                return await problem_page(request, error.status)
            except CodedError as error:
                return await problem_page(request, status_of(type(error)))
            except HTTPException as error:
                return await problem_page(request, error.status_code)
            except DATABASE_TROUBLE as error:
                if not database_failed(error):
                    raise
                log.warning("database unavailable", error=summarize(error))
                return await problem_page(request, 503)
            except RequestValidationError as error:
                # An address with an invalid id does not exist; a form shows an invalid field.
                in_path = any(detail["loc"][0] == "path" for detail in error.errors())
                return await problem_page(request, 404 if in_path else 400)

        return answer


def page_router() -> APIRouter:
    return APIRouter(route_class=PageRoute, include_in_schema=False)


async def problem_page(request: Request, status: int, *, service: str = "") -> Response:
    """Show what went wrong, and what to do about it. `service` is the one that did not answer."""
    visitor = await _whoever(request)
    return render(
        request,
        "pages/problem.html",
        visitor,
        status=status,
        title=TITLES.get(status, OTHER),
        text=EXPLANATIONS.get(status, EXPLANATIONS[400]),
        service=service,
        again=request.method == "GET" and status == 503,
    )


async def _whoever(request: Request) -> User | None:
    """Return the visitor, or None while the database is away, because only it knows sessions."""
    try:
        found: Any = await sessions_of(request).find(request)
    except DATABASE_TROUBLE:
        return None
    return found[1] if found else None
