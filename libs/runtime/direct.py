"""A GET to a part of the system needs no HTTP library, and goes through no proxy that the machine's
environment names.
"""

from http.client import HTTPResponse
from urllib.request import ProxyHandler, build_opener


def open_directly(url: str, seconds: float) -> HTTPResponse:
    """Return the answer to a GET, or the file of a file:// URL; the caller closes it. `seconds` is
    how long each step may take. Raises http.client.HTTPException, or OSError, also for a status of
    400 and more.
    """
    opener = build_opener(ProxyHandler({}))
    answer: HTTPResponse = opener.open(url, timeout=seconds)
    return answer
