from libs.runtime.migrations import run
from services.orders.infrastructure.tables import metadata

run(metadata)
