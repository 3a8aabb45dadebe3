"""The portal's imports leave Python's import machinery as it is."""

import subprocess
import sys

LOADED = """
import sys

import services.portal.main

assert all(hasattr(each, "find_spec") for each in sys.meta_path), sys.meta_path
"""


def test_every_import_hook_can_be_asked_for_a_module() -> None:
    subprocess.run([sys.executable, "-c", LOADED], check=True, timeout=60)
