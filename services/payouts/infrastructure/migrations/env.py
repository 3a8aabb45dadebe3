from libs.runtime.migrations import run
from services.payouts.infrastructure.sandbox_bank import transfers

run(transfers.metadata)
