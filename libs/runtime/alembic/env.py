"""What Alembic runs for each service."""

from libs.runtime.migrations import run

run()
