"""HTTP to what is part of the system, with nothing to load: never through a proxy that the
environment of the machine names."""

from http.client import HTTPResponse
from urllib.request import ProxyHandler, build_opener


def open_directly(url: str, seconds: float) -> HTTPResponse:
    """The answer to a GET, to be closed; `seconds` is how long each step may take. Of file:// the
    file. Raises OSError, for a status of 400 and more too, and http.client.HTTPException.
    """
    opener = build_opener(ProxyHandler({}))
    answer: HTTPResponse = opener.open(url, timeout=seconds)
    return answer
