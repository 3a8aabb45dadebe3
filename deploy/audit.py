"""python -m deploy.audit looks for known vulnerabilities in what requirements.txt locks."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements.txt"
SHOWN = 5


class NotAudited(Exception):
    """Some packages could not be looked up. The text says why, in one line."""


def main() -> None:
    """Exit with code 1 for a vulnerability, and 2 where some packages could not be looked up."""
    try:
        found = vulnerabilities(_ask())
    except NotAudited as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    for line in found:
        print(line)
    if found:
        raise SystemExit(1)
    print("no known vulnerability")


def vulnerabilities(answer: str) -> list[str]:
    """Return a line for each vulnerability in pip-audit's JSON, or raise NotAudited.

    pip-audit itself reports success when the database knows none of the packages.
    """
    packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if len(skipped) == len(packages):
        raise NotAudited("the database of vulnerabilities is out of reach: it knows no package")
    if skipped:
        more = f" and {len(skipped) - SHOWN} more" if len(skipped) > SHOWN else ""
        raise NotAudited(f"not in the database: {', '.join(skipped[:SHOWN])}{more}")
    return [
        f"{package['name']} {package['version']}: {each['id']}, mended in "
        + (", ".join(each["fix_versions"]) or "no version yet")
        for package in packages
        for each in package["vulns"]
    ]


def _ask() -> str:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", "--requirement", str(LOCK)),
            *("--disable-pip", "--progress-spinner", "off", "--format", "json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout.startswith("{"):
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1][:200]
        raise NotAudited(f"the database of vulnerabilities is out of reach: {reason}")
    return done.stdout


if __name__ == "__main__":
    main()
