from libs.runtime.migrations import run
from services.portal.infrastructure.tables import metadata

run(metadata)
