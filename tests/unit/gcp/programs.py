"""Fakes gcloud, terraform and docker: each notes its call in a folder, and answers from a file
there. The fakes run in the test's process, or as programs of their own in `FOLDER/bin`.
"""

import fcntl
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any


def answer(folder: Path, name: str, words: list[str], given: str) -> str:
    """Return the program's output. Raises SystemExit with the line of a program that refuses."""
    line = " ".join([name, *words])
    for word in words:
        if word.startswith("--flags-file="):
            given = Path(word.partition("=")[2]).read_text()
    with (folder / "calls").open("a") as calls:
        calls.write(json.dumps([line, given]) + "\n")
    if _wanted(folder / "refuse", line):
        sys.exit(f"ERROR: ({name}) PERMISSION_DENIED: somebody has to allow it.\nand more")
    if _wanted(folder / "interrupt", line):
        os.kill(os.getppid(), signal.SIGINT)
        sys.exit(130)
    with (folder / "state").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # several programs run at once
        state = json.load(file)
        found = _terraform(state, words) if name == "terraform" else _gcloud(state, words, given)
        file.seek(0)
        file.truncate()
        json.dump(state, file)
    return found


def _wanted(pattern: Path, line: str) -> bool:
    return pattern.exists() and re.search(pattern.read_text(), line) is not None


def _gcloud(state: dict[str, Any], words: list[str], given: str) -> str:
    options = dict(each.lstrip("-").partition("=")[::2] for each in words if each.startswith("-"))
    buckets, secrets = state["buckets"], state["secrets"]
    match [each for each in words if not each.startswith("-")]:
        case ["auth", "print-access-token"]:
            return "a-token"
        case ["projects", "describe", project]:
            return project
        case ["storage", "buckets", "list"]:
            wanted = options["filter"].partition("=")[2]
            return wanted if wanted in buckets else ""
        case ["storage", "buckets", "create", url]:
            buckets.append(url.removeprefix("gs://"))
        case ["secrets", "list"]:
            wanted = options["filter"].removeprefix("name~/").rstrip("$")
            return wanted if wanted in secrets else ""
        case ["secrets", "create", secret]:
            secrets[secret] = []
        case ["secrets", "versions", "list", secret]:
            return "\n".join(map(str, range(len(secrets[secret]))))
        case ["secrets", "versions", "access", "latest"]:
            if not (versions := secrets.get(options["secret"])):
                sys.exit("ERROR: NOT_FOUND: no version")
            return str(versions[-1])
        case ["secrets", "versions", "add", secret]:
            secrets.setdefault(secret, []).append(given)
        case ["artifacts", "docker", "images", "describe", _]:
            return "sha256:" + "1" * 64
    return ""


def _terraform(state: dict[str, Any], words: list[str]) -> str:
    match [each for each in words if not each.startswith("-")]:
        case ["workspace", "show"]:
            return str(state["workspace"])
        case ["workspace", "select", stage]:
            state["workspace"] = stage
        case ["output"]:
            return json.dumps({key: {"value": value} for key, value in state["outputs"].items()})
        case ["state", "list"]:
            return "\n".join(state["resources"])
        case ["state", "rm", resource]:
            state["resources"].remove(resource)
        case ["import", resource, _]:
            state["resources"].append(resource)
        case ["apply"]:
            _apply(
                state,
                dict(each[5:].partition("=")[::2] for each in words if each.startswith("-var=")),
            )
        case ["destroy"]:
            state["outputs"], state["resources"] = {}, []
    return ""


def _apply(state: dict[str, Any], variables: dict[str, str]) -> None:
    if "google_storage_bucket.ledger" not in state["resources"]:
        bucket = f"{variables['project']}-{state['workspace']}-erasures"
        if bucket in state["buckets"]:
            sys.exit("Error: the bucket is there already")
        state["buckets"].append(bucket)
        state["resources"].append("google_storage_bucket.ledger")
    parts = json.loads(variables["parts"])
    database = {"instance": "mercado", "host": "10.0.0.3", "authority": "-CA-"}
    state["outputs"] = {
        "parts": parts,
        "image": variables["image"],
        "job_image": variables["job_image"],
        "database": database if "sql" in parts else None,
        "repository": "here-docker.pkg.dev/a-project/mercado",
        "public": ["portal", "orders"],
        "urls": {each: f"https://{each}.example" for each in state["services"]},
    }


if __name__ == "__main__":
    given = sys.stdin.read() if "--data-file=-" in sys.argv else ""
    print(answer(Path(sys.argv[0]).parents[1], Path(sys.argv[0]).name, sys.argv[1:], given))
