"""An error at start that the operator can mend is one line, with exit code 2 and no traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class StartFailure(Exception):
    """`str(failure)` is the line the operator reads. It never holds a password."""


def stop(line: str) -> NoReturn:
    """End the process with `line` on stderr and exit code 2."""
    print(f"error: {' '.join(line.split())}", file=sys.stderr)  # noqa: T201
    raise SystemExit(2)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a StartFailure raised inside into its one line and exit code 2."""
    try:
        yield
    except StartFailure as failure:
        stop(str(failure))
