"""python -m deploy.local.checking FOLDER runs the checker of the system in that folder."""

import sys
from pathlib import Path

from deploy.checker.periodic import run
from deploy.local.state import load_state

if __name__ == "__main__":
    place = Path(sys.argv[1])
    run(load_state(place).installation(place))
