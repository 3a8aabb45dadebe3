from libs.runtime.migrations import run
from services.payments.infrastructure.sandbox_gateway import operations

run(operations.metadata)
