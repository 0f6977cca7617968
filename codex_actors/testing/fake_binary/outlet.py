"""Owns what the app-server writes: answers, errors and notifications, one JSON object a line."""

from __future__ import annotations

import json
import sys
from typing import Any

from .documents import now_ms

__all__ = ["Outlet"]


class Outlet:
    """Standard output."""

    def answer(self, id_: int | str, result: dict[str, Any]) -> None:
        """Answer a request."""
        self._send({"id": id_, "result": result})

    def error(self, id_: int | str, code: int, message: str) -> None:
        """Answer a request with an error."""
        self._send({"error": {"code": code, "message": message}, "id": id_})

    def notify(self, method: str, params: dict[str, Any]) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params, "emittedAtMs": now_ms()})

    def _send(self, message: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(message, separators=(",", ":"), ensure_ascii=False) + "\n")
        sys.stdout.flush()
