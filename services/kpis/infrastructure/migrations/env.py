from libs.runtime.migrations import run
from services.kpis.infrastructure.tables import metadata

run(metadata)
