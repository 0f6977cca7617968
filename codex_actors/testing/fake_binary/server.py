"""Owns `codex app-server`: reading requests from standard input and having them carried out.

Invariant: every request is answered once, in the order of arrival, but for those that codex does
not answer. Turns run between requests. Must not know what the methods do.
"""

from __future__ import annotations

import json
import os
import platform
import select
import sys
import time
from typing import TYPE_CHECKING, Any

from .attachments import AttachmentMethods, InvalidParams
from .documents import VERSION
from .faults import Failure, Faults, Stall, hang
from .identifiers import InvalidId, new_id
from .outlet import Outlet
from .schema import InvalidRequest, check_request
from .threads import Refused, ThreadMethods, nothing
from .turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .journal import Journal
    from .storage import Storage
    from .threads import Answer

__all__ = ["AppServer"]

_INVALID_REQUEST = -32600
_INVALID_PARAMS = -32602
_CHUNK = 65_536


class AppServer:
    """One process of the app-server."""

    def __init__(
        self,
        config: dict[str, Any],
        home: Path,
        *,
        journal: Journal,
        faults: Faults,
        storage: Storage,
        next_reply: Callable[[], str],
    ) -> None:
        self._home = home
        self._journal = journal
        self._faults = faults
        self._outlet = Outlet()
        self._turns = Turns(self._outlet, storage, journal, faults=faults, next_reply=next_reply)
        self._threads = ThreadMethods(config, home, storage, self._outlet, self._turns)
        self._attachments = AttachmentMethods(storage)
        self._initialized = False

    def serve(self) -> None:
        """Serve until standard input ends."""
        buffer = b""
        while True:
            if select.select([0], [], [], self._idle())[0]:
                chunk = os.read(0, _CHUNK)
                if not chunk:
                    break
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    self._take(line)
            for loaded in list(self._threads.loaded.values()):
                self._turns.advance(loaded)
        if self._turns.stuck:
            # Codex waits for its thread that reads a FIFO.
            hang()

    def _idle(self) -> float | None:
        """Return the seconds until a turn takes its next step, None when none runs."""
        turns = [loaded.turn for loaded in self._threads.loaded.values()]
        due = [turn.due for turn in turns if turn is not None and not turn.stalled]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        match message:
            case {"id": int() | str() as id_, "method": str(method)}:
                self._journal.record("message", message=message)
                self._request(id_, method, message.get("params"))
            case {"method": str()} | {"id": int() | str(), "result": _} | {"error": _}:
                self._journal.record("message", message=message)
            case _:
                sys.stderr.write("Failed to deserialize JSONRPCMessage\n")
                sys.stderr.flush()

    def _request(self, id_: int | str, method: str, given: object) -> None:
        try:
            params = check_request(method, given)
            time.sleep(self._faults.meet(method))
            answer = self._carry_out(id_, method, params)
            time.sleep(self._faults.meet(f"{method}:answer"))
        except Failure as failure:
            self._outlet.error(id_, failure.code, failure.message)
        except InvalidParams as error:
            self._outlet.error(id_, _INVALID_PARAMS, str(error))
        except (InvalidRequest, Refused, InvalidId) as error:
            self._outlet.error(id_, _INVALID_REQUEST, str(error))
        except Stall:
            pass
        else:
            if answer is not None:
                result, then = answer
                self._outlet.answer(id_, result)
                then()

    def _carry_out(self, id_: int | str, method: str, params: dict[str, Any]) -> Answer | None:
        if method == "initialize":
            return self._initialize(params)
        if not self._initialized:
            raise Refused("Not initialized")
        if method == "turn/interrupt":
            return self._threads.interrupt_turn(id_, params)
        methods: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "thread/start": self._threads.start,
            "thread/resume": self._threads.resume,
            "thread/fork": self._threads.fork,
            "thread/archive": self._threads.archive,
            "turn/start": self._threads.start_turn,
            "thread/attachment/add": lambda p: self._announced(*self._attachments.add(p)),
            "thread/attachment/remove": lambda p: self._announced(*self._attachments.remove(p)),
            "thread/attachment/list": lambda p: (self._attachments.page(p), nothing),
            "thread/attachmentOwner/list": lambda p: (self._attachments.owners(p), nothing),
        }
        return methods[method](params)

    def _initialize(self, params: dict[str, Any]) -> Answer:
        if self._initialized:
            raise Refused("Already initialized")
        client = params["clientInfo"]
        for name in ("name", "version"):
            if name not in client:
                raise InvalidRequest(f"missing field `{name}`")
        self._initialized = True
        capabilities: dict[str, Any] = params.get("capabilities") or {}
        self._threads.experimental = bool(capabilities.get("experimentalApi"))
        self._threads.originator = client["name"]
        known = f"{client['name']}; {client['version']}"
        system = f"{platform.system()}; {platform.machine()}"
        result = {
            "userAgent": f"{client['name']}/{VERSION} ({system}) fake ({known})",
            "codexHome": str(self._home),
            "platformFamily": "unix",
            "platformOs": "macos" if sys.platform == "darwin" else "linux",
        }
        status = {
            "status": "disabled",
            "serverName": platform.node(),
            "installationId": new_id(),
            "environmentId": None,
        }
        return result, lambda: self._outlet.notify("remoteControl/status/changed", status)

    def _announced(self, result: dict[str, Any], event: dict[str, Any] | None) -> Answer:
        def then() -> None:
            if event is not None:
                time.sleep(self._faults.meet("thread/attachment/updated"))
                self._outlet.notify("thread/attachment/updated", event)

        return result, then
