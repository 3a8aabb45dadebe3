from pathlib import Path

import pytest

from deploy.local.engine import Runtime, choose_runtime
from deploy.local.lifecycle import find


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a `docker` command alone on PATH. It fails where its first word is in `fails`."""
    command = tmp_path / "docker"
    command.write_text('#!/bin/sh\n[ ! -e "${0%/*}/fails-$1" ]\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("RUNTIME", raising=False)
    return tmp_path


@pytest.mark.usefixtures("docker")
def test_containers_are_used_where_an_engine_answers() -> None:
    assert choose_runtime().runtime is Runtime.CONTAINERS


@pytest.mark.parametrize("missing", ["info", "compose"])
def test_private_processes_are_used_where_the_engine_cannot_run_compose(
    docker: Path, missing: str
) -> None:
    (docker / f"fails-{missing}").touch()

    assert choose_runtime().runtime is Runtime.LOCAL


def test_private_processes_are_used_where_there_is_no_docker(docker: Path) -> None:
    (docker / "docker").unlink()

    assert choose_runtime().reason == "there is no docker command"


@pytest.mark.usefixtures("docker")
def test_environment_overrides_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME", "local")

    assert choose_runtime().runtime is Runtime.LOCAL


def test_containers_are_refused_where_no_engine_answers(
    docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docker / "fails-info").touch()
    monkeypatch.setenv("RUNTIME", "containers")

    with pytest.raises(ValueError, match="no Docker engine answers"):
        choose_runtime()


def test_unknown_runtime_is_refused_with_what_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME", "cloud")

    with pytest.raises(ValueError, match="it can be local or containers"):
        choose_runtime()


def test_commands_refuse_an_unknown_runtime_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME", "cloud")

    with pytest.raises(ValueError, match="it can be local or containers"):
        find(Path("nowhere"))
