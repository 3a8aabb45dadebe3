"""A run of tests leaves no file behind."""

import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.fixtures.servers import own_temporary_folder


def test_files_that_programs_leave_are_deleted_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with own_temporary_folder():
        left = subprocess.run(["mktemp"], check=True, capture_output=True, text=True).stdout
        assert Path(left.strip()).is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert tempfile.gettempdir() == str(tmp_path)
