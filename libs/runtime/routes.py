"""An application's routes are named as in its document: by template."""

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Route

from libs.runtime.query import known_parameters


def api_router(**options: Any) -> APIRouter:
    """Return a router for endpoints that appear in the service's document. `options` are those of
    APIRouter.
    """
    return APIRouter(
        dependencies=[Depends(known_parameters)], generate_unique_id_function=name_of, **options
    )


def name_of(route: APIRoute) -> str:
    """Return the id of an operation in the document, for an endpoint that sets none."""
    return route.name


def add(app: FastAPI, router: APIRouter) -> None:
    """Add the routes of `router` as they are. `include_router` would analyse the parameters of each
    route a second time, which doubles the time to build an application, and each request would
    search the routes twice.
    """
    app.router.routes.extend(router.routes)


def templates(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Yield each method with each template it is known for."""
    for route in _routes(app):
        for method in route.methods or ():
            yield method, str(route.path)


def fitting(app: FastAPI, path: str) -> Sequence[Route]:
    """Return the templates that a path may match, in the order in which they are tried: `/a/b`
    before `/a/{name}`.
    """
    return [route for route in _routes(app) if route.path_regex.match(path)]


def template_of(app: FastAPI, method: str, path: str) -> str | None:
    """Return the template that a request matches; for an unknown method, the template that fits the
    path. None when none fits.
    """
    found = fitting(app, path)
    known = [route for route in found if method in (route.methods or ())]
    return next((str(route.path) for route in [*known, *found]), None)


def _routes(app: FastAPI) -> Iterator[Route]:
    return (route for route in app.routes if isinstance(route, Route))
