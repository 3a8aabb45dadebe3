"""The logs of everything that was started are printed one after the other, or as they grow."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO


def show(
    folder: Path, names: Sequence[str], *, follow: bool, starts: Mapping[str, int] | None = None
) -> None:
    """Print the logs of `names` (all if empty), each line after its name. `starts` is the number of
    bytes of each that are left out.

    Raises ValueError for a name that has no log. With `follow` go on until interrupted.
    """
    known = sorted(file.stem for file in (folder / "logs").glob("*.log"))
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(f"no log of {', '.join(unknown)}: there are {', '.join(known) or 'none'}")
    files = {
        name: (folder / "logs" / f"{name}.log").open(errors="replace")
        for name in known
        if name in names or not names
    }
    for name, file in files.items():
        file.seek((starts or {}).get(name, 0))
    while True:
        grown = [_print_new(name, file) for name, file in files.items()]
        if not follow:
            return
        if not any(grown):
            time.sleep(0.1)


def _print_new(name: str, file: TextIO) -> bool:
    lines = file.readlines()
    for line in lines:
        print(f"{name:10} | {line.rstrip()}")
    sys.stdout.flush()
    return bool(lines)
