"""Under an unknown address people get a page, and programs a problem."""

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from libs.runtime.handlers import method_not_allowed, methods_of
from libs.runtime.problems import NoSuchPath, problem
from services.portal.infrastructure.web.pages.page import page_router

FOR_PROGRAMS = ("api/", ".well-known/", "static/")


async def nowhere(path: str, request: Request) -> Response:
    if path.startswith(FOR_PROGRAMS):
        if request.method not in methods_of(request):
            return method_not_allowed(request)
        return problem(NoSuchPath())
    raise HTTPException(404)


def router() -> APIRouter:
    """Return the last router, which takes every address that no other router has."""
    routes = page_router()
    routes.get("/{path:path}")(nowhere)
    return routes
