"""Logs are JSON objects, one a line on stderr, with the request and the subject they are about.

Values that may be personal are never logged: log ids and names of rules.
"""

import logging
import sys
import traceback

import structlog
from structlog.typing import EventDict, WrappedLogger

from libs.messaging.outbox.causation import current_cause

MAX_CHAIN = 5
MAX_FRAMES = 15
MAX_MESSAGE = 300


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
                _traceback_without_values,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # httpx logs each address that it requests. Some addresses hold a password, and those of payment
    # codes the code.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # These log as errors what the relay and the subscriber already report and retry. No callback
    # there is this project's.
    for name in ("aiormq.connection", "aio_pika.tools"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _traceback_without_values(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Log the chain of errors with their frames. Of a message only the first line is logged: the
    further lines of the database's and pydantic's errors quote the values they are about.
    """
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    chain: list[dict[str, object]] = []
    while isinstance(error, BaseException) and len(chain) < MAX_CHAIN:
        frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
        chain.append(
            {
                "type": type(error).__qualname__,
                "message": str(error).partition("\n")[0][:MAX_MESSAGE],
                "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
            }
        )
        error = error.__cause__ or error.__context__
    if chain:
        event["errors"] = chain
    return event
