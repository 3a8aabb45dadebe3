"""`./taskw documents` writes the parts of docs/ that follow from the code; `--check` compares."""

import argparse
import sys
from pathlib import Path

from tests.documents.sections import ROOT, SectionMissing, documents


def main(root: Path = ROOT) -> None:
    parser = argparse.ArgumentParser(prog="./taskw documents", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when stale")
    check = parser.parse_args().check
    try:
        stale = {path: text for path, text in documents(root).items() if path.read_text() != text}
    except (SectionMissing, LookupError, OSError) as error:
        sys.exit(f"error: {error}")
    for path, text in stale.items():
        name = path.relative_to(root)
        if check:
            print(f"{name} is stale: run ./taskw documents", file=sys.stderr)
        else:
            path.write_text(text)
            print(f"wrote {name}")
    if check and stale:
        sys.exit(1)
    if not stale:
        print("the documents say what the code says")


if __name__ == "__main__":
    main()
