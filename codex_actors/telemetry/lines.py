"""Owns how what happened looks on a line: as text for people, as JSON for programs.

Invariant: pure; one record is one line (in text, a traceback follows it, indented); a line can
always be encoded, steers no terminal, and as JSON is one valid document. Must not know where it
goes.
"""

import json
import math
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, cast

from attrs import field, frozen

from codex_actors.telemetry.levels import Level
from codex_actors.telemetry.text import one_line, shortened, timestamp, visible

__all__ = ["LogFormat", "Record", "as_json", "as_text", "format_record", "traceback_of"]

LogFormat: TypeAlias = Literal["text", "json"]

# A traceback of a recursion has a thousand frames; the first and the last tell.
_FRAMES = 32
_MOST = 16 * 1024
# Of a message or a field: what strangers call things may be of any length.
_TEXT = 20_000


@frozen(kw_only=True)
class Record:
    """Something to log.

    Attributes:
        time: When, seconds since the epoch.
        level: What it is worth.
        event: What kind of thing it is, dotted or with underscores.
        message: One line about it.
        fields: What programs want to know of it.
        traceback: Where it went wrong, "" when it did not.
    """

    time: float
    level: Level
    event: str
    message: str
    fields: Mapping[str, Any] = field(factory=dict[str, Any])
    traceback: str = ""


def format_record(record: Record, form: LogFormat) -> str:
    """Return the line of a record, its end included."""
    return as_json(record) if form == "json" else as_text(record)


def as_text(record: Record) -> str:
    """Return a line for people."""
    message = one_line(shortened(record.message, _TEXT))
    line = f"{_moment(record.time)} {record.level.name.lower():7} {message}\n"
    if not record.traceback:
        return line
    return line + "".join(f"    {visible(each)}\n" for each in record.traceback.splitlines())


def as_json(record: Record) -> str:
    """Return a line for programs; what the record says of itself comes before its fields."""
    own = {
        "time": _moment(record.time),
        "level": record.level.name.lower(),
        "event": record.event,
        "message": shortened(record.message, _TEXT),
    }
    document = {**own, **record.fields, **own}  # the order of the first, the values of the last
    if record.traceback:
        document["traceback"] = record.traceback
    return json.dumps(_plain(document)) + "\n"


def traceback_of(error: BaseException | None) -> str:
    """Return where an error was raised, with its causes; bounded, "" for none."""
    if error is None or error.__traceback__ is None:
        return ""
    text = "".join(traceback.format_exception(error, limit=_FRAMES))
    return text if len(text) <= _MOST else f"{text[: _MOST // 2]}\n[...]\n{text[-_MOST // 2 :]}"


def _moment(time: float) -> str:
    return timestamp(datetime.fromtimestamp(time, UTC))


def _plain(value: object) -> object:
    """Return what JSON has, of what events carry; numbers that JSON has not become text."""
    match value:
        case None | bool() | int():
            return value
        case str():
            return shortened(value, _TEXT)
        case float():
            return value if math.isfinite(value) else str(value).replace("inf", "infinity")
        case Mapping():
            pairs = cast("Mapping[object, object]", value)
            return {str(key): _plain(each) for key, each in pairs.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(each) for each in cast("list[object]", value)]
        case _:
            return shortened(str(value), _TEXT)
