from libs.runtime.migrations import run
from services.vehicles.infrastructure.tables import metadata

run(metadata)
