"""Compares the memory and CPU time of a service's start with those at another revision:

    python -m tests.bench.starting --base 9563c33 --rounds 15

Processes of both trees take turns on one machine. Each imports a service's main module and finds
the queues that consume its events, as each start does. The bounds are for `payments`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from deploy.services import SERVICES

ROOT = Path(__file__).parents[2]
MOST_MEMORY, MOST_CPU = 0.95, 0.87
"""The most that payments may use, as parts of the other revision's memory and CPU time."""

PROBE = """
import json, resource, sys
from importlib import import_module

main = import_module(f"services.{sys.argv[1]}.main")
from libs.runtime import written_choreography

own = main.participant()
if hasattr(peers, "read_choreography"):
    from libs.runtime.settings import CHOREOGRAPHY
    choreography = peers.read_choreography(CHOREOGRAPHY)
    peers.check_own(own, choreography)
    peers.expected_queues(own, choreography)
else:
    peers.expected_queues(own)
used = resource.getrusage(resource.RUSAGE_SELF)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({"kb": int(status["VmRSS"].split()[0]), "cpu": used.ru_utime + used.ru_stime}))
"""


def measured(tree: Path, service: str) -> tuple[float, float]:
    """Return the resident megabytes and the CPU seconds of one process."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, service],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        check=True,
    )
    told = json.loads(done.stdout)
    return told["kb"] / 1024, told["cpu"]


def compare(old: Path, service: str, rounds: int) -> bool:
    """Print both, and return whether the bounds hold. The first round of each only compiles."""
    trees = {"old": old, "new": ROOT}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in trees}
    for number in range(rounds + 1):
        for name, tree in trees.items():
            measure = measured(tree, service)
            if number:
                found[name].append(measure)
    memory = {name: statistics.median(each[0] for each in found[name]) for name in trees}
    cpu = {name: statistics.median(each[1] for each in found[name]) for name in trees}
    ratios = memory["new"] / memory["old"], cpu["new"] / cpu["old"]
    print(
        f"{service:10} memory {memory['old']:6.1f} -> {memory['new']:6.1f} MB ({ratios[0]:.2f})"
        f"   processor {cpu['old']:.3f} -> {cpu['new']:.3f} s ({ratios[1]:.2f})",
        flush=True,
    )
    return ratios[0] <= MOST_MEMORY and ratios[1] <= MOST_CPU


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--base", required=True, help="a git revision")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--services", nargs="*", default=["payments"],
                        choices=[spec.name for spec in SERVICES])  # fmt: skip
    chosen = parser.parse_args(arguments)
    archive = ["git", "-C", str(ROOT), "archive", "--format=tar", chosen.base]
    content = subprocess.run(archive, stdout=subprocess.PIPE, check=True).stdout
    with tempfile.TemporaryDirectory(prefix="starting-") as place:
        with tarfile.open(fileobj=BytesIO(content)) as files:
            files.extractall(place, filter="data")
        held = {each: compare(Path(place), each, chosen.rounds) for each in chosen.services}
    if not held.get("payments", True):
        sys.exit(f"payments is above its bounds: memory {MOST_MEMORY}, processor {MOST_CPU}")


if __name__ == "__main__":
    main()
