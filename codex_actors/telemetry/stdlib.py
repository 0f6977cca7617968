"""Owns the way of what others say by `logging` and `warnings` into the log of this process.

Invariant: what libraries and the user's actors say looks like the rest, and blocks as little;
where somebody has configured `logging` himself, nothing is touched. Must not know who speaks.
"""

import logging
from collections.abc import Generator
from contextlib import contextmanager

from codex_actors.telemetry.levels import Level
from codex_actors.telemetry.log import Log

__all__ = ["capturing"]

# They tell of every request at the level of information.
_CHATTY = ("httpx2", "httpcore2")


@contextmanager
def capturing(log: Log, level: Level) -> Generator[None]:
    """Have the records of `logging`, and warnings, logged for the duration of the block.

    Args:
        log: Where they go.
        level: The least that is logged.
    """
    root = logging.getLogger()
    if root.hasHandlers():
        yield
        return
    handler = _Handler(log)
    levels = {logger: logger.level for logger in (root, *map(logging.getLogger, _CHATTY))}
    root.addHandler(handler)
    root.setLevel(level)
    for logger in levels:
        if logger is not root and logger.level == logging.NOTSET and level > Level.DEBUG:
            logger.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        root.removeHandler(handler)
        for logger, before in levels.items():
            logger.setLevel(before)


class _Handler(logging.Handler):
    """Gives records to a log; any thread."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record; one that cannot be formatted is told all the same."""
        try:
            message = record.getMessage()
        except Exception as wrong:  # noqa: BLE001 - a stranger's arguments
            message = f"{record.msg!r} ({type(wrong).__name__} in its arguments)"
        error = record.exc_info[1] if record.exc_info else None
        self._log.say(
            _level_of(record.levelno),
            "log",
            f"{record.name}: {message}",
            error=error,
            logger=record.name,
        )


def _level_of(number: int) -> Level:
    return max((level for level in Level if level <= number), default=Level.DEBUG)
