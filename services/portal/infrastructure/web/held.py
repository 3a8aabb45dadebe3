"""A form that was sent after its session had ended keeps its input through the sign-in."""

import json
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from fastapi import Request

from services.portal.infrastructure.identity.sessions import CSRF_FIELD, local_path

HELD_FIELD = "held"
MAX_HELD = 50_000
"""The limit is in characters. The user has to type a longer form again."""
OF_PASSWORDS = "password"  # a part of the names of their fields


@dataclass(frozen=True)
class Held:
    """`path` is the address the form was sent to. `fields` are names and values, without the CSRF
    token.
    """

    path: str
    fields: tuple[tuple[str, str], ...]

    @classmethod
    async def of(cls, request: Request) -> Self | None:
        """Return the form, or None where it cannot be kept: files are sent only once by a browser,
        and passwords must not be in a page.
        """
        form = (await request.form()).multi_items()
        typed = [(name, value) for name, value in form if name != CSRF_FIELD]
        if any(OF_PASSWORDS in name or not isinstance(value, str) for name, value in typed):
            return None
        held = cls(request.url.path, tuple((name, str(value)) for name, value in typed))
        return held if len(held.text) <= MAX_HELD else None

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Return the form whose `text` this is, or None for another text, or a path outside the
        portal.
        """
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
    """Return whether a page of the portal sent the form, according to the browser. A form of
    another site is not kept: the user who signs in would send what a stranger has typed.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = urlsplit(request.headers.get("origin", ""))
    return bool(origin.netloc) and origin.netloc == request.headers.get("host")


def page_of(request: Request) -> str:
    """Return the portal's page that contains the form."""
    place = urlsplit(request.headers.get("referer", "/"))
    return local_path(place._replace(scheme="", netloc="").geturl())
