"""Owns the request for one codex turn with files attached.

Invariant: every file is staged before codex starts, and arrives or the turn is refused; a client
that goes ends its codex. Neither prompt, answer nor environment is kept in the table of operations.
"""

import os
from pathlib import Path
from typing import Any, cast

from attrs import asdict

from codex_actors.codex import (
    Event,
    Sandbox,
    ThreadOptions,
    TurnResult,
    event_to_dict,
    open_exec_turn,
    turn_result,
)
from codex_actors.control import messages
from codex_actors.control.errors import InvalidParams
from codex_actors.control.service import Service
from codex_actors.control.session import Notify

__all__ = ["exec_"]


async def exec_(service: Service, request: messages.Exec, notify: Notify) -> dict[str, Any]:
    """Run one turn; its events are told as they come."""
    files, options = service.files, _options(request)
    with service.operations.admit("exec", f"a turn in {options.cwd or '.'}") as operation:

        def tell(state: str, **more: object) -> None:
            operation.progress = {"state": state, **more}
            notify(operation.progress)

        for path in map(Path, request.attach):
            tell("staging", what=path.name)
            options = files.attach(options, await files.stage(path))
        tell("starting")
        events: list[Event] = []
        async with open_exec_turn(
            request.prompt,
            options,
            files=files,
            timeout=request.timeout,
            resume=request.resume,
            environ={**os.environ, **(request.env or {})},
        ) as turn:
            async for event in turn:
                events.append(event)
                operation.progress = {"state": "running", "events": len(events)}
                notify({"state": "running", "event": event_to_dict(event)})
        document = _document(turn_result(events))
        operation.outcome = {"thread_id": document["thread_id"], "usage": document["usage"]}
        return document


def _options(request: messages.Exec) -> ThreadOptions:
    try:
        return ThreadOptions(
            cwd=request.cwd,
            model=request.model,
            sandbox=cast("Sandbox | None", request.sandbox),
            config=request.config,
            ephemeral=request.ephemeral,
            codex_path=request.codex,
        )
    except (ValueError, TypeError) as error:
        raise InvalidParams(str(error)) from None
    except RecursionError:
        raise InvalidParams("config is nested too deeply") from None


def _document(result: TurnResult) -> dict[str, Any]:
    return {
        "thread_id": result.thread_id,
        "final_message": result.final_message,
        "usage": asdict(result.usage),
    }
