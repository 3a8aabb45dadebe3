"""The OpenAPI documents pass the usual linters."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.services import SERVICES
from tests.fixtures.documents import openapi_of

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm"),
]

PACKAGES = ("@stoplight/spectral-cli@6.16.3", "@redocly/cli@2.77.0")
SPECTRAL = 'extends: ["spectral:oas"]\nrules: {info-contact: off}\n'
REDOCLY = "extends: [recommended-strict]\nrules: {info-license: off}\n"
"""Contact and licence are left out, because whoever runs a service decides on them."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the linters installed and all documents written."""
    made = tmp_path_factory.mktemp("linters")
    (made / "package.json").write_text("{}")
    (made / "spectral.yaml").write_text(SPECTRAL)
    (made / "redocly.yaml").write_text(REDOCLY)
    for spec in SERVICES:
        for auth in ("on", "off"):
            document = openapi_of(spec.name, made, auth=auth)
            (made / f"{spec.name}-{auth}.json").write_text(json.dumps(document))
    run(made, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES)
    return made


def run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-3_000:]


def documents(folder: Path) -> list[str]:
    found = sorted(each.name for each in folder.glob("*-o*.json"))
    assert len(found) == 2 * len(SERVICES)
    return found


def test_spectral_finds_nothing(folder: Path) -> None:
    lint = ("npx", "--no-install", "spectral", "lint", "--fail-severity", "hint")
    run(folder, *lint, "-r", "spectral.yaml", *documents(folder))


def test_redocly_finds_nothing(folder: Path) -> None:
    run(folder, "npx", "--no-install", "redocly", "lint", *documents(folder))
