"""python -m deploy.docker.healthy: exit 0 when the container's service says it is ready.

With the standard library only: it runs every few seconds.
"""

import os
import sys
import urllib.error
import urllib.request


def main() -> None:
    url = f"http://127.0.0.1:{os.environ['PORT']}/ready"
    try:
        urllib.request.urlopen(url, timeout=4).close()
    except (OSError, urllib.error.URLError) as error:
        sys.exit(f"{url}: {error}")


if __name__ == "__main__":
    main()
