"""Owns what an HTTP answer means for an upload: which failure it is, what was said.

Invariant: pure. A message is short, one line, and free of the secrets that it was told of. Must not
know who sent the request, nor by what.
"""

import email.utils
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, cast

from attrs import frozen

from codex_actors.files.targets.protocol import Refused, Retryable

__all__ = [
    "Answer",
    "Redactor",
    "document_of",
    "id_of",
    "is_success",
    "moment_of",
    "refusal_of",
    "retry_after_of",
    "said",
]

MAX_SAID = 500
MAX_ID = 1000
# These say that the request was not carried out, and may be later.
RETRYABLE = frozenset({408, 409, 429})
SERVER_ERROR = 500
SUCCESS = 200
REDIRECT = 300
CLIENT_ERROR = 400
SHORTEST_SECRET = 6
_SIGNED = re.compile(r"((?:https?|socks5h?)://)(?:[^\s/@'\"]*@)?([^\s?'\"<>#]*)(\?[^\s'\"<>]*)?")
_SPACE = re.compile(r"\s+")


@frozen
class Answer:
    """What a server answered.

    Attributes:
        status: The status code.
        headers: Names in lower case.
        body: Its bytes, as many as were accepted.
        whole: Whether the body came to its end.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True


@frozen
class Redactor:
    """Takes secrets out of a text: those it was told of, and what follows a `?` in any URL."""

    secrets: tuple[str, ...] = ()

    @classmethod
    def of(cls, secrets: Iterable[str]) -> "Redactor":
        """Return one for some secrets; the longest go first, for one may begin with another."""
        long_enough = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        return cls(tuple(sorted(long_enough, key=len, reverse=True)))

    def __call__(self, text: str) -> str:
        """Return the text without them."""
        for secret in self.secrets:
            text = text.replace(secret, "<secret>")
        return _SIGNED.sub(_without_query, text)


def _without_query(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}{'?<query>' if found[3] else ''}"


def document_of(answer: Answer) -> dict[str, Any] | None:
    """Return the JSON object that an answer holds, None if it holds none."""
    if not answer.whole:
        return None
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def is_success(answer: Answer) -> bool:
    """Tell whether the server says that it did what was asked."""
    return SUCCESS <= answer.status < REDIRECT


def id_of(value: Any) -> str | None:
    """Return the id that a document gives, None if it gives none that can be recorded and shown."""
    fits = isinstance(value, str) and 0 < len(value) <= MAX_ID and value.isprintable()
    return value if fits else None


def moment_of(value: Any) -> datetime | None:
    """Return the moment that a document gives in seconds since the epoch, None if it gives none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def said(answer: Answer, redact: Redactor) -> str:
    """Return what a server said: the message of its error document, else its text; one line."""
    document = document_of(answer) or {}
    error = document.get("error")
    candidates = (
        cast("dict[str, Any]", error).get("message") if isinstance(error, dict) else error,
        document.get("detail"),
        document.get("message"),
        document.get("error_message"),
    )
    text = next((text for text in candidates if isinstance(text, str) and text), None)
    if text is None:
        text = answer.body[: 4 * MAX_SAID].decode("utf-8", "replace")
    text = "".join(char if char.isprintable() else " " for char in redact(text))
    text = _SPACE.sub(" ", text).strip()
    return text if len(text) <= MAX_SAID else f"{text[: MAX_SAID - 1]}…"


def refusal_of(answer: Answer, redact: Redactor) -> Retryable | Refused:
    """Return the failure that a status other than 2xx is."""
    status = answer.status
    message = f"{status} {_phrase(status)}"
    if REDIRECT <= status < CLIENT_ERROR:
        # With the credential or the file's bytes to wherever it points: no.
        return Refused(f"{message}: a redirect, which is not followed", status=status)
    if words := said(answer, redact):
        message = f"{message}: {words}"
    if status in RETRYABLE or status >= SERVER_ERROR:
        return Retryable(message, status=status, retry_after=retry_after_of(answer.headers))
    return Refused(message, status=status)


def retry_after_of(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that `Retry-After` asks to wait; None without one that makes sense.

    A date is compared with the server's own clock, if the answer tells it.
    """
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        date = _date(value)
        if date is None:
            return None
        reference = _date(headers.get("date", "")) or now or datetime.now(UTC)
        return max(0.0, (date - reference).total_seconds())
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _date(text: str) -> datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "(no known status)"
