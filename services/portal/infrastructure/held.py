"""A form that was sent when its session had ended: what was typed is kept through signing in."""

import json
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from fastapi import Request

from services.portal.infrastructure.sessions import CSRF_FIELD, local_path

HELD_FIELD = "held"
MAX_HELD = 50_000
"""Characters; a longer form is typed again."""
OF_PASSWORDS = "password"  # a part of the names of their fields


@dataclass(frozen=True)
class Held:
    """`path`: where the form was sent to. `fields`: names and values, without the CSRF token."""

    path: str
    fields: tuple[tuple[str, str], ...]

    @classmethod
    async def of(cls, request: Request) -> Self | None:
        """None for what cannot be kept: files, which the browser sends once, and passwords, which
        do not belong into a page.
        """
        form = (await request.form()).multi_items()
        typed = [(name, value) for name, value in form if name != CSRF_FIELD]
        if any(OF_PASSWORDS in name or not isinstance(value, str) for name, value in typed):
            return None
        held = cls(request.url.path, tuple((name, str(value)) for name, value in typed))
        return held if len(held.text) <= MAX_HELD else None

    @classmethod
    def read(cls, text: str) -> Self | None:
        """What `text` wrote; None for anything else, and for a path that is not ours."""
        try:
            path, fields = json.loads(text)
            pairs = tuple((str(name), str(value)) for name, value in fields)
        except (ValueError, TypeError):
            return None
        if not isinstance(path, str) or not path.startswith("/") or local_path(path) != path:
            return None
        return cls(path, pairs)

    @property
    def text(self) -> str:
        return json.dumps([self.path, self.fields])


def is_same_origin(request: Request) -> bool:
    """Whether a page of ours sent the form, as browsers say it. A form of another site is not kept:
    whoever signs in would send on what a stranger has typed.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = urlsplit(request.headers.get("origin", ""))
    return bool(origin.netloc) and origin.netloc == request.headers.get("host")


def page_of(request: Request) -> str:
    """The page of ours on which the form stands."""
    place = urlsplit(request.headers.get("referer", "/"))
    return local_path(place._replace(scheme="", netloc="").geturl())
