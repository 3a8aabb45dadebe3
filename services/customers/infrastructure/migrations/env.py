from libs.runtime.migrations import run
from services.customers.infrastructure.tables import metadata

run(metadata)
