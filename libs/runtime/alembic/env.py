"""Alembic runs this file for each service."""

from libs.runtime.migrations import run

run()
