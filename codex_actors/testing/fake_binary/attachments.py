"""Owns the methods of thread attachments: their rules, limits, pages and words.

Invariant: what was refused changed nothing. Must not know the wire.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .identifiers import InvalidId, checked_id
from .storage import MAX_ATTACHMENTS, TooManyAttachments

if TYPE_CHECKING:
    from .storage import Attached, Storage

__all__ = ["AttachmentMethods", "InvalidParams"]

_MAX_PAYLOAD = 65_536
_MAX_NAME = 256
_PAGE = 25
_MAX_PAGE = 100
_CURSOR_FIELDS = 3


class InvalidParams(Exception):
    """Parameters that are understood and refused; the message is codex's."""


class AttachmentMethods:
    """`thread/attachment/*` and `thread/attachmentOwner/list` of one home."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def add(self, params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Return the answer, and the event when there is one."""
        thread_id, type_, key = self._identity(params)
        payload = params["payload"]
        written = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        if len(written.encode()) > _MAX_PAYLOAD:
            raise InvalidParams(f"attachment payload must not exceed {_MAX_PAYLOAD} bytes")
        try:
            attached, created = self._storage.attach(thread_id, type_, key, payload)
        except LookupError:
            raise InvalidParams(f"thread not found: {thread_id}") from None
        except TooManyAttachments:
            raise InvalidParams(
                f"thread attachment identity count exceeds {MAX_ATTACHMENTS}"
            ) from None
        answer = {"outcome": "created" if created else "existing", "attachment": _shown(attached)}
        event = _event(thread_id, type_, key, attached.id, "created") if created else None
        return answer, event

    def remove(self, params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Return the answer, and the event when there was something to remove."""
        thread_id, type_, key = self._identity(params)
        try:
            removed = self._storage.detach(thread_id, type_, key)
        except LookupError:
            raise InvalidParams(f"thread not found: {thread_id}") from None
        event = None if removed is None else _event(thread_id, type_, key, removed, "deleted")
        return {}, event

    def page(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return one page; a thread that is not known has none."""
        thread_id = _thread_id(params)
        attached = self._storage.attached(thread_id)
        cursor = params.get("cursor")
        if cursor is not None:
            fields = cursor.split("|")
            if len(fields) != _CURSOR_FIELDS or fields[0] != thread_id or not fields[1].isdigit():
                raise InvalidParams("invalid pagination cursor")
            after = (int(fields[1]), fields[2])
            attached = [one for one in attached if (one.created_at, one.id) > after]
        page, more = _page(attached, params)
        last = page[-1] if more else None
        return {
            "data": [_shown(one) for one in page],
            "nextCursor": None if last is None else f"{thread_id}|{last.created_at}|{last.id}",
        }

    def owners(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return one page of the threads that have an attachment."""
        type_, key = _names(params)
        wanted = params.get("archived")
        cursor: dict[str, Any] = {"attachment_type": type_, "identity_key": key, "archived": wanted}
        owners = self._storage.owners(type_, key)
        if params.get("cursor") is not None:
            after = _owner_cursor(params["cursor"], cursor)
            owners = [owner for owner in owners if owner[0] > after]
        page, more = _page([o for o in owners if wanted is None or o[1] == wanted], params)
        return {
            "data": [{"threadId": id_, "archived": archived} for id_, archived in page],
            "nextCursor": json.dumps({**cursor, "thread_id": page[-1][0]}, separators=(",", ":"))
            if more
            else None,
        }

    def _identity(self, params: dict[str, Any]) -> tuple[str, str, str]:
        return (_thread_id(params), *_names(params))


def _thread_id(params: dict[str, Any]) -> str:
    try:
        return checked_id(params["threadId"], "thread id")
    except InvalidId as error:
        raise InvalidParams(str(error)) from None


def _names(params: dict[str, Any]) -> tuple[str, str]:
    for name in ("attachmentType", "identityKey"):
        if not params[name].strip():
            raise InvalidParams(f"{name} must not be empty")
        if len(params[name].encode()) > _MAX_NAME:
            raise InvalidParams(f"{name} must not exceed {_MAX_NAME} bytes")
    return params["attachmentType"], params["identityKey"]


def _page(entries: list[Any], params: dict[str, Any]) -> tuple[list[Any], bool]:
    """Cut off one page, of one entry at least; tell whether there are more."""
    limit = params.get("limit")
    size = _PAGE if limit is None else min(max(limit, 1), _MAX_PAGE)
    return entries[:size], len(entries) > size


def _owner_cursor(text: str, expected: dict[str, Any]) -> str:
    try:
        cursor: dict[str, Any] = dict(json.loads(text))
    except (TypeError, ValueError):
        raise InvalidParams("invalid pagination cursor") from None
    if expected.items() - cursor.items():
        raise InvalidParams("invalid pagination cursor")
    return str(cursor.get("thread_id"))


def _shown(attached: Attached) -> dict[str, Any]:
    return {
        "id": attached.id,
        "attachmentType": attached.type,
        "identityKey": attached.key,
        "payload": attached.payload,
        "createdAt": attached.created_at,
    }


def _event(thread_id: str, type_: str, key: str, id_: str, operation: str) -> dict[str, Any]:
    return {
        "threadId": thread_id,
        "attachmentType": type_,
        "identityKey": key,
        "attachmentId": id_,
        "operation": operation,
    }
