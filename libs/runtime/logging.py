"""Structured logs: one JSON object a line on stderr, with the request and the purchase it is about.

Values that may be personal are never logged: log ids and names of rules.
"""

import logging
import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

from libs.messaging.causation import current_cause


def configure_logging(service: str, level: str) -> None:
    """Send structlog's and the libraries' records through one JSON renderer."""

    def identity(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        if (cause := current_cause()) is not None:
            event.setdefault("cause", cause)
        return event

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        identity,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.dict_tracebacks,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
