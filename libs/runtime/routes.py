"""The routes of an application, as its document names them: by template."""

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Route

from libs.runtime.query import known_parameters


def api_router(**options: Any) -> APIRouter:
    """Of endpoints that stand in the service's document. `options` are those of APIRouter."""
    return APIRouter(
        dependencies=[Depends(known_parameters)], generate_unique_id_function=name_of, **options
    )


def name_of(route: APIRoute) -> str:
    """The operation's id in the document, of an endpoint that is given none."""
    return route.name


def add(app: FastAPI, router: APIRouter) -> None:
    """Add the routes of `router` as they are: `include_router` would work out the parameters of
    each a second time, which doubles the time an application takes to build, and search them twice
    for each request.
    """
    app.router.routes.extend(router.routes)


def templates(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Each method with each template it is known for."""
    for route in _routes(app):
        for method in route.methods or ():
            yield method, str(route.path)


def fitting(app: FastAPI, path: str) -> Sequence[Route]:
    """Those that a path may lead to, the first that is taken first: `/a/b` before `/a/{name}`."""
    return [route for route in _routes(app) if route.path_regex.match(path)]


def template_of(app: FastAPI, method: str, path: str) -> str | None:
    """Where a request would go; for a method that is not known there, what fits the path. None
    where nothing does.
    """
    found = fitting(app, path)
    known = [route for route in found if method in (route.methods or ())]
    return next((str(route.path) for route in [*known, *found]), None)


def _routes(app: FastAPI) -> Iterator[Route]:
    return (route for route in app.routes if isinstance(route, Route))
