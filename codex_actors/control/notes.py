"""Owns what is told about one request before its answer.

Invariant: telling never waits and never raises; what finds no room is left out and counted, and
nothing is told after the answer. Must not know what is told.
"""

from collections.abc import Callable
from typing import Any, final

from codex_actors.control.jsonrpc import Id, encode, note
from codex_actors.control.outbox import Outbox
from codex_actors.control.pieces import is_long

__all__ = ["Notes"]


@final
class Notes:
    """What is told about one request; nothing about one that has no id."""

    def __init__(self, outbox: Outbox, id_: Id, report: Callable[[BaseException], None]) -> None:
        self._outbox = outbox
        self._id = id_
        self._report = report
        self._missed = 0
        self._closed = id_ is None

    def tell(self, document: dict[str, Any]) -> None:
        """Tell something; `id` and `missed` in it are not for the teller to use."""
        if self._closed:
            return
        told = {**document, "missed": self._missed} if self._missed else document
        try:
            is_told = not is_long(told) and self._outbox.put_note(encode(note(self._id, told)))
        except (TypeError, ValueError) as error:
            self._report(error)
            is_told = False
        self._missed = 0 if is_told else self._missed + 1

    def close(self) -> None:
        """Tell nothing more."""
        self._closed = True
