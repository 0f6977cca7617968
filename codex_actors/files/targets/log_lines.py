"""Owns what the HTTP client's own log lines may show.

Invariant: no line of these loggers shows a query or a user of a URL, whatever its level. Must not
know the client.
"""

import logging

from codex_actors.files.targets.answers import Redactor

__all__ = ["hide_queries"]

# Their lines show URLs, or the headers of answers, which can be URLs. A logger's filter does not
# see what its children log.
LOGGERS = (
    "httpx2",
    "httpcore2.connection",
    "httpcore2.http11",
    "httpcore2.http2",
    "httpcore2.proxy",
    "httpcore2.socks",
)


class _QueriesHidden(logging.Filter):
    """Rewrites records; drops none."""

    def __init__(self) -> None:
        super().__init__()
        self._redact = Redactor()

    def filter(self, record: logging.LogRecord) -> bool:
        """Take queries and users out of the URLs of a record."""
        message = record.getMessage()
        redacted = self._redact(message)
        if redacted != message:
            record.msg, record.args = redacted, ()
        return True


def hide_queries() -> None:
    """Filter the lines of the HTTP client from now on, in the whole process."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_QueriesHidden())
