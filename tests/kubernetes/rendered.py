"""Renders the folders of deploy/kubernetes with `kubectl kustomize`, and checks the result against
the schemas of its kinds.
"""

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2] / "deploy" / "kubernetes"
SCHEMAS = Path(__file__).parent / "schemas"
OVERLAYS = ("local", "production")

Manifest = dict[str, Any]

with_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl, which brings kustomize, is not installed"
)


def rendered(folder: str) -> list[Manifest]:
    """Return a copy of the documents that an apply of this folder sends."""
    documents: list[Manifest] = json.loads(_as_json(folder))
    return documents


@cache
def _as_json(folder: str) -> str:
    command = ["kubectl", "kustomize", str(ROOT / folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.dumps(list(yaml.load_all(done.stdout, yaml.CSafeLoader)))


@cache
def _validators() -> dict[str, Draft202012Validator]:
    bundle = json.loads((SCHEMAS / "schemas.json").read_text())
    by_hand = json.loads((SCHEMAS / "by_hand.json").read_text())
    return {
        kind: Draft202012Validator({**schema, "$defs": bundle["$defs"]})
        for kind, schema in {**bundle["kinds"], **by_hand}.items()
    }


def refusals(manifest: Manifest) -> list[str]:
    """Return why the schema of its kind refuses this document, one sentence each."""
    kind = f"{manifest['apiVersion']} {manifest['kind']}"
    name = f"{manifest['kind']} {manifest['metadata']['name']}"
    if kind not in _validators():
        return [f"{name}: there is no schema of {kind}"]
    return [
        f"{name}: {'.'.join(map(str, each.absolute_path))}: {each.message}"
        for each in _validators()[kind].iter_errors(manifest)
    ]
