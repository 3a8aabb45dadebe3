"""Services wait for what they need at their start, because all of them start at once."""

import time
from http.client import HTTPException

from libs.runtime.direct import open_directly


def wait_for(url: str) -> None:
    """Wait until the URL answers: a service ends when it cannot read the portal's keys."""
    print(f"waiting for {url}", flush=True)
    while True:
        try:
            open_directly(url, 5).close()
        except (OSError, HTTPException):
            time.sleep(0.5)
        else:
            return
