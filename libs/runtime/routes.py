"""The routes of an application, as its document names them: by template."""

from collections.abc import Iterator, Sequence

from fastapi import FastAPI
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import Route


def templates(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Each method with each template it is known for."""
    for route in _routes(app):
        for method in route.methods or ():
            yield method, str(route.path)


def fitting(app: FastAPI, path: str) -> Sequence[RouteContext]:
    """Those that a path may lead to, the first that is taken first: `/a/b` before `/a/{name}`."""
    return [route for route in _routes(app) if route.path_regex.match(path)]


def template_of(app: FastAPI, method: str, path: str) -> str | None:
    """Where a request would go; for a method that is not known there, what fits the path. None
    where nothing does.
    """
    found = fitting(app, path)
    known = [route for route in found if method in (route.methods or ())]
    return next((str(route.path) for route in [*known, *found]), None)


def _routes(app: FastAPI) -> Iterator[RouteContext]:
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, Route):
            yield route
