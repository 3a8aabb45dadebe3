"""The program in docs/library.md runs unchanged."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "docs" / "library.md"


def test_the_example_of_a_service_of_ones_own_runs(
    database: str, vhost: str, tmp_path: Path
) -> None:
    programs = re.findall(r"```python\n(.*?)```", LIBRARY.read_text(), re.DOTALL)
    assert len(programs) == 1
    script = tmp_path / "example.py"
    script.write_text(programs[0])
    environment = {
        **os.environ,
        "DATABASE_URL": database.replace("+asyncpg", ""),
        "RABBITMQ_URL": vhost,
        "PYTHONPATH": str(ROOT),
    }

    run = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, timeout=60
    )

    assert run.returncode == 0, run.stderr
    assert re.fullmatch(r"order [0-9a-f-]{36} of 990 cents was placed\n", run.stdout)
    assert run.stderr == ""
