"""The job of compose.yaml that makes the folder of the database, or says why it cannot be used."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.compose import composed, with_compose

POSTGRES = """\
#!/bin/sh
echo 'postgres (PostgreSQL) {major}.6 (Debian {major}.6-3)'
"""
INITDB = """\
#!/bin/sh
made=${{1#--pgdata=}}
mkdir -p "$made/base" && echo {major} >"$made/PG_VERSION"
"""
WHERE = {17: "data", 18: "18/docker"}
"""PGDATA of the official images, below /var/lib/postgresql."""

pytestmark = with_compose


class Volume:
    """One for both places where compose.yaml mounts it: an image of 17 sees its root as `data`."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "volume"
        self.root.mkdir()
        (self.root / "data").symlink_to(".")
        self._programs = folder / "bin"
        self._programs.mkdir()
        self._script: str = composed()["services"]["data"]["entrypoint"][-1].replace("$$", "$")

    def start(self, major: int) -> tuple[int, str]:
        """Exit code and output of the job with the image of this Postgres."""
        for name, text in (("postgres", POSTGRES), ("initdb", INITDB)):
            (self._programs / name).write_text(text.format(major=major))
            (self._programs / name).chmod(0o755)
        done = subprocess.run(
            ["bash", "-euc", self._script.replace("/var/lib/postgresql", str(self.root))],
            env={
                "PATH": f"{self._programs}:{os.environ['PATH']}",
                "PGDATA": str(self.root / WHERE[major]),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def version(self, major: int) -> str:
        return (self.root / WHERE[major] / "PG_VERSION").read_text().strip()


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


@pytest.mark.parametrize("major", [17, 18])
def test_a_new_volume_is_filled_once(volume: Volume, major: int) -> None:
    assert volume.start(major) == (0, "")
    (volume.root / WHERE[major] / "base" / "kept").touch()

    assert volume.start(major) == (0, "")

    assert volume.version(major) == str(major)
    assert (volume.root / WHERE[major] / "base" / "kept").exists()


@pytest.mark.parametrize(("kept", "now"), [(17, 18), (18, 17)])
def test_data_of_another_postgres_is_refused_in_one_line_and_stays(
    volume: Volume, kept: int, now: int
) -> None:
    volume.start(kept)

    code, output = volume.start(now)

    assert code == 1
    assert output == (
        f"the volume holds the data of Postgres {kept}, and this is Postgres {now}:"
        f" with POSTGRES_IMAGE=postgres:{kept} in .env it starts as before\n"
    )
    assert volume.start(kept) == (0, "")
    assert volume.version(kept) == str(kept)


@pytest.mark.parametrize("major", [17, 18])
def test_a_start_that_was_cut_off_begins_anew(volume: Volume, major: int) -> None:
    half = volume.root / WHERE[major] / "new"
    half.mkdir(parents=True)
    (half / "half").touch()

    assert volume.start(major) == (0, "")

    assert volume.version(major) == str(major)
    assert not half.exists()
