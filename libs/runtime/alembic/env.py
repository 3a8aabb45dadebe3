"""Alembic runs this file in each migration of a service."""

from libs.runtime.migrations import run

run()
