"""The portal serves every file that a page loads: its own files, and a few that installed packages
contain.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

FOLDER = Path(__file__).parent / "static"
STYLES = Path(__file__).parent / "styles"
LAYERS = ("tokens", "base", "layout", "components", "pages")
"""The style sheet has layers, each stronger than the one before. A browser gets them as one file,
`portal.css`, because each file of its own would be another request before a page is shown.
"""
FROM_PACKAGES = {
    "htmx.min.js": ("js_lib_htmx", "static/htmx/htmx.min.js"),
    "fonts/Manrope-VariableFont_wght.ttf": ("font_manrope", "files/Manrope-VariableFont_wght.ttf"),
}
AT_THE_ROOT = ("/favicon.ico", "/robots.txt")
"""Browsers and crawlers request these addresses without having read a page."""
A_DAY, A_YEAR = 86_400, 31_536_000

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Asset:
    content: bytes
    zipped: bytes
    media_type: str

    @property
    def version(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:12]


@cache
def assets() -> dict[str, Asset]:
    """Return the files by their name under /static. They are small and read once."""
    return {name: _asset(name, content) for name, content in _files()}


def _files() -> Iterator[tuple[str, bytes]]:
    yield "portal.css", b"".join((STYLES / f"{layer}.css").read_bytes() for layer in LAYERS)
    for path in FOLDER.rglob("*"):
        if path.is_file():
            yield path.relative_to(FOLDER).as_posix(), path.read_bytes()
    for name, (package, inside) in FROM_PACKAGES.items():
        spec = find_spec(package)  # an import would need its framework
        if spec is None or spec.origin is None:
            raise FileNotFoundError(f"the package {package} is not installed")
        yield name, (Path(spec.origin).parent / inside).read_bytes()


def _asset(name: str, content: bytes) -> Asset:
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Asset(content, gzip.compress(content, mtime=0), media_type)


def address(name: str) -> str:
    """Return an address that changes with the content, so that browsers may cache it for good."""
    return f"/static/{name}?v={assets()[name].version}"


@router.get("/static/{name:path}")
async def static(name: str, request: Request, v: str | None = None) -> Response:
    asset = assets().get(name)
    if asset is None:
        raise HTTPException(404, "no such file")
    etag = f'"{asset.version}"'
    lasts = A_YEAR if v == asset.version else A_DAY
    headers = {
        "Cache-Control": f"public, max-age={lasts}",
        "ETag": etag,
        "Vary": "Accept-Encoding",
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.zipped, headers=headers, media_type=asset.media_type)
    return Response(asset.content, headers=headers, media_type=asset.media_type)


@router.get(AT_THE_ROOT[0])
@router.get(AT_THE_ROOT[1])
async def at_the_root(request: Request) -> Response:
    return await static(request.url.path.removeprefix("/"), request)
