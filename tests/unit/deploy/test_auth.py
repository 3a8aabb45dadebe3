"""AUTH keeps its last setting in processes and in containers."""

from pathlib import Path
from typing import Any

import pytest

from deploy.auth import asked_auth, kept_auth
from deploy.docker import __main__ as container
from libs.runtime.start_failure import StartFailure


def test_a_start_that_does_not_mention_auth_leaves_it_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "auth"

    assert [kept_auth(file, asked) for asked in ("", "on", "", "off", "")] == [
        "",
        "on",
        "on",
        "off",
        "off",
    ]


def test_the_environment_goes_before_the_file_of_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUTH", raising=False)
    assert asked_auth(tmp_path) == ""
    (tmp_path / ".env").write_text("AUTH=on\n")
    assert asked_auth(tmp_path) == "on"
    monkeypatch.setenv("AUTH", "off")
    assert asked_auth(tmp_path) == "off"


def test_an_invalid_value_of_auth_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTH", "yes")

    with pytest.raises(StartFailure, match="AUTH is 'yes': it can be on or off"):
        asked_auth(tmp_path)


@pytest.mark.parametrize(
    ("kept", "given", "becomes"),
    [("", "", "off"), ("on", "", "on"), ("on", "off", "off"), ("off", "on", "on")],
)
def test_container_of_a_service_has_auth_as_given_or_else_as_kept(
    kept: str, given: str, becomes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    became: dict[str, Any] = {}

    def become(module: list[str], environment: dict[str, str]) -> None:
        became.update(environment, module=module)

    monkeypatch.setattr(container, "SECRETS", tmp_path)
    monkeypatch.setattr(container, "_become", become)
    monkeypatch.setattr(container, "wait_for", lambda _: None)
    monkeypatch.setenv("AUTH", given)
    monkeypatch.delenv("JWKS_URL", raising=False)
    kept_auth(tmp_path / "auth", kept)

    container.app(["serve", "orders"], standalone_mode=False)

    assert (became["module"], became["AUTH"]) == (["services.orders.main"], becomes)
    assert ("JWKS_URL" in became) == (becomes == "on")
