"""Owns what codex is answered when it asks for something. Pure.

Invariant: every request gets an answer at once, and no answer grants anything: there is nobody to
ask. Threads are started with the approval policy `never` (unless their config says otherwise), so
that codex decides by the sandbox alone and seldom asks at all.

| codex asks                              | answer                                         |
|-----------------------------------------|------------------------------------------------|
| to run a command, to change files       | decline: the agent is told, and goes on        |
| for more permissions                    | none                                           |
| a question of the agent's to the user   | no answers                                     |
| a question of an MCP server's           | decline                                        |
| for a tool that the client offers       | failed: we offer none                          |
| anything else (tokens, attestations)    | error -32601, as for a method that is unknown  |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codex_actors.codex.app_server.wire import ServerRequest

__all__ = ["answer_to"]

_METHOD_NOT_FOUND = -32601

_ANSWERS: dict[str, dict[str, Any]] = {
    "item/commandExecution/requestApproval": {"decision": "decline"},
    "item/fileChange/requestApproval": {"decision": "decline"},
    "item/permissions/requestApproval": {"permissions": {}},
    "item/tool/requestUserInput": {"answers": {}},
    "mcpServer/elicitation/request": {"action": "decline"},
    "item/tool/call": {
        "success": False,
        "contentItems": [{"type": "inputText", "text": "this client offers no tools"}],
    },
}


def answer_to(request: ServerRequest) -> dict[str, Any]:
    """Return the message that answers it."""
    if (result := _ANSWERS.get(request.method)) is not None:
        return {"id": request.id, "result": result}
    message = f"this client does not answer {request.method}"
    return {"id": request.id, "error": {"code": _METHOD_NOT_FOUND, "message": message}}
