"""`./taskw kubernetes` writes the manifests that follow from the code; `--check` compares."""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from deploy.kubernetes.manifests import written
from deploy.observability.configuration import ALERTS

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes" / "base" / "written"
HEADER = "# Written by ./taskw kubernetes: change deploy/kubernetes/*.py instead.\n"


class _Plain(yaml.SafeDumper):  # type: ignore[misc]
    """Repeats what occurs twice, indents lists, and keeps the lines of long texts."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Plain.add_representer(str, _text)


def files() -> dict[str, str]:
    """Return the text of each file of the folder."""
    made = written(yaml.safe_load(ALERTS.read_text()))
    texts = {
        f"{name}.yaml": HEADER + _dumped(manifests) for name, manifests in sorted(made.items())
    }
    listing = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(texts),
    }
    return {**texts, "kustomization.yaml": HEADER + _dumped([listing])}


def _dumped(manifests: list[dict[str, Any]]) -> str:
    text: str = yaml.dump_all(manifests, Dumper=_Plain, sort_keys=False, width=1000)
    return text


def stale(folder: Path = FOLDER) -> list[Path]:
    """Return the files that differ from what the code says, are missing, or are not ours."""
    texts = files()
    kept = {each.name for each in folder.glob("*")} if folder.is_dir() else set()
    return [
        folder / name
        for name in sorted(kept | texts.keys())
        if name not in kept or name not in texts or (folder / name).read_text() != texts[name]
    ]


def main(folder: Path = FOLDER) -> None:
    parser = argparse.ArgumentParser(prog="./taskw kubernetes", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when stale")
    check = parser.parse_args().check
    texts = files()
    found = stale(folder)
    for path in found:
        if check:
            print(f"{path.name} is stale: run ./taskw kubernetes", file=sys.stderr)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        if path.name in texts:
            path.write_text(texts[path.name])
            print(f"wrote {path.name}")
        else:
            path.unlink()
            print(f"deleted {path.name}")
    if found and check:
        sys.exit(1)
    if not found:
        print("the manifests say what the code says")


if __name__ == "__main__":
    main()
