from libs.runtime.migrations import run
from services.orders.infrastructure.tables import METADATA

run(METADATA)
