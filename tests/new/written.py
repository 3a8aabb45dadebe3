"""Changes several files together or not at all."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

SKELETON = Path(__file__).parent / "skeleton"
SUFFIX = ".tmpl"

Changes = Mapping[Path, str]
"""The whole new text of each file."""


class Refused(Exception):
    """`Refused` means that nothing was written. The sentence says why."""


def write(changes: Changes) -> None:
    for path, text in changes.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    _format([path for path in changes if path.suffix == ".py"])


def skeleton(root: Path, name: str, **words: object) -> dict[Path, str]:
    """Return the skeleton's files with `NAME` in their paths and `words` in their text replaced."""
    made = {}
    for template in sorted(SKELETON.rglob(f"*{SUFFIX}")):
        place = str(template.relative_to(SKELETON)).removesuffix(SUFFIX).replace("NAME", name)
        made[root / place] = Template(template.read_text()).substitute(name=name, **words)
    return made


def _format(paths: Sequence[Path]) -> None:
    """Format as `./taskw format` does, because the order of imports depends on the names."""
    ruff = Path(sys.executable).parent / "ruff"
    for command in (("check", "--select=I", "--fix", "--quiet"), ("format", "--quiet")):
        subprocess.run([ruff, *command, *paths], check=True)
