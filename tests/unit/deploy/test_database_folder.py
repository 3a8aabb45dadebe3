"""The job of compose.yaml creates the folder of the database, or says why it cannot be used."""

import os
import shutil
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
    """One volume is at both mounts of compose.yaml: an image of 17 sees its root as `data`."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "volume"
        self.root.mkdir()
        (self.root / "data").symlink_to(".")
        self._programs = folder / "bin"
        self._programs.mkdir()
        self.restored = folder / "restored" / "data"
        script: str = composed()["services"]["data"]["entrypoint"][-1].replace("$$", "$")
        for place, here in (
            ("/var/lib/postgresql", self.root),
            ("/var/lib/mercado-veiculo/restored/data", self.restored),
        ):
            script = script.replace(place, str(here))
        self._script = script

    def start(self, major: int) -> tuple[int, str]:
        """Return exit code and output of the job with the image of this Postgres."""
        for name, text in (("postgres", POSTGRES), ("initdb", INITDB)):
            (self._programs / name).write_text(text.format(major=major))
            (self._programs / name).chmod(0o755)
        done = subprocess.run(
            ["bash", "-euc", self._script],
            env={
                "PATH": f"{self._programs}:{os.environ['PATH']}",
                "PGDATA": str(self.root / WHERE[major]),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def restore(self, mark: str, major: int = 17) -> None:
        """Make a backup ready, as the job `restore` leaves it, with the files in the volume's root
        beside the data.
        """
        shutil.rmtree(self.restored, ignore_errors=True)
        (self.restored / "base").mkdir(parents=True)
        (self.restored / "base" / mark).touch()
        (self.restored / "data").mkdir()
        (self.restored / "17").mkdir()
        (self.restored / "PG_VERSION").write_text(f"{major}\n")
        (self.restored / "restored.json").write_text(mark)

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


@pytest.mark.parametrize("major", [17, 18])
def test_a_start_that_was_cut_off_while_it_moved_begins_anew(volume: Volume, major: int) -> None:
    (volume.root / WHERE[major] / "base" / "half").mkdir(parents=True)

    assert volume.start(major) == (0, "")

    assert volume.version(major) == str(major)
    assert not (volume.root / WHERE[major] / "base" / "half").exists()


@pytest.mark.parametrize("major", [17, 18])
def test_a_restored_backup_becomes_the_data_of_an_empty_volume(volume: Volume, major: int) -> None:
    volume.restore("one", major)

    for _ in range(2):
        assert volume.start(major) == (0, "")

    assert (volume.root / WHERE[major] / "base" / "one").exists()
    assert volume.version(major) == str(major)


def test_a_restored_backup_and_data_are_one_too_many(volume: Volume) -> None:
    volume.start(17)
    for mark in ("one", "two"):  # beside new data, and beside that of an earlier backup
        volume.restore(mark)
        code, output = volume.start(17)
        assert code == 1
        assert output == (
            "a restored backup waits, and there is data: delete one of the two volumes, with docker"
            " compose down and docker volume rm, the one that ends in _db or in _restored\n"
        )
        shutil.rmtree(volume.root)
        volume.root.mkdir()
        (volume.root / "data").symlink_to(".")
        assert volume.start(17) == (0, "")
        assert (volume.root / "base" / mark).exists()


def test_a_restored_backup_of_another_postgres_is_refused_in_one_line(volume: Volume) -> None:
    volume.restore("one", major=17)
    assert volume.start(18) == (
        1,
        "the restored backup is of Postgres 17, and this is Postgres 18: choose its image with"
        " POSTGRES_IMAGE in .env\n",
    )
    assert volume.start(17) == (0, "")
