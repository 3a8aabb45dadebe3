import os
from pathlib import Path

import pytest

from deploy.local import lifecycle
from deploy.local.engine import Runtime
from deploy.local.lifecycle import System, runs_old_code
from deploy.local.state import State

STARTED = 1_000_000_000


@pytest.mark.parametrize(("changed", "old"), [(STARTED - 1, False), (STARTED + 1, True)])
def test_code_that_has_changed_since_a_service_started_is_noticed(
    changed: int, old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "ROOT", tmp_path)
    for path, time in (("services/orders/main.py", changed), ("run/orders.json", STARTED)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
        os.utime(tmp_path / path, (time, time))
    state = State(Runtime.LOCAL, postgres=1, rabbitmq=2, management=3, services={"orders": 4})

    assert runs_old_code(System(tmp_path, state, running=["orders"], lost=[])) is old
