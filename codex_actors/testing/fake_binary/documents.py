"""Owns the documents of the app-server: what a thread, a turn and an item look like. Pure.

Invariant: they have the members that codex 0.163 sends, with the values that it sends to a client
that asked for nothing special.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .storage import Thread

__all__ = [
    "VERSION",
    "agent_message",
    "now_ms",
    "rate_limits",
    "resumed_document",
    "settings_document",
    "thread_document",
    "token_usage",
    "turn_document",
    "usage",
    "user_message",
]

VERSION = "0.163.0"
_WINDOW = 258_400
# What the model server of this test kit says of each request; codex adds them up by thread.
_COUNTS = {"input": 11, "cachedInput": 3, "cacheWriteInput": 0, "output": 7, "reasoningOutput": 2}
_SANDBOX_POLICIES: dict[str, dict[str, Any]] = {
    "read-only": {"type": "readOnly", "networkAccess": False},
    "workspace-write": {
        "type": "workspaceWrite",
        "writableRoots": [],
        "networkAccess": False,
        "excludeTmpdirEnvVar": False,
        "excludeSlashTmp": False,
    },
    "danger-full-access": {"type": "dangerFullAccess"},
}


def thread_document(
    thread: Thread, *, originator: str, path: str | None, turns: list[dict[str, Any]]
) -> dict[str, Any]:
    """Describe a thread."""
    environment = {
        "environmentId": "local",
        "cwd": thread.cwd,
        "runtimeWorkspaceRoots": [thread.cwd],
    }
    return {
        "id": thread.id,
        "environments": [environment],
        "extra": None,
        "sessionId": thread.id,
        "forkedFromId": thread.forked_from,
        "parentThreadId": None,
        "preview": thread.preview,
        "ephemeral": thread.ephemeral,
        "section": None,
        "sectionEnteredAt": None,
        "projectId": None,
        "historyMode": "paginated",
        "modelProvider": thread.provider,
        "model": thread.model,
        "reasoningEffort": None,
        "createdAt": thread.created_at,
        "updatedAt": thread.updated_at,
        "recencyAt": thread.updated_at,
        "status": {"type": "idle"},
        "path": path,
        "cwd": thread.cwd,
        "cliVersion": VERSION,
        "originator": originator,
        "source": "vscode",
        "canAcceptDirectInput": True,
        "threadSource": None,
        "agentNickname": None,
        "agentRole": None,
        "gitInfo": None,
        "name": None,
        "daybreakEnabled": None,
        "turns": turns,
    }


def settings_document(thread: Thread) -> dict[str, Any]:
    """Describe how a thread runs: what stands beside it in the answer that loads it."""
    profile = {"id": ":read-only", "extends": None} if thread.sandbox == "read-only" else None
    return {
        "model": thread.model,
        "modelProvider": thread.provider,
        "serviceTier": None,
        "disabledPluginIds": [],
        "cwd": thread.cwd,
        "runtimeWorkspaceRoots": [thread.cwd],
        "instructionSources": [],
        "approvalPolicy": thread.approval,
        "approvalsReviewer": "user",
        "sandbox": _SANDBOX_POLICIES[thread.sandbox],
        "activePermissionProfile": profile,
        "reasoningEffort": None,
        "multiAgentMode": "explicitRequestOnly",
    }


def resumed_document(thread: Thread) -> dict[str, Any]:
    """Describe what only the answer to a resumption has. The pages behind the cursors are not."""
    mode = {"model": thread.model, "reasoning_effort": None, "developer_instructions": None}
    scopes = {"turns": "turns", "items": "itemsByCreatedAtOrdinal"}
    return {
        "collaborationMode": {"mode": "default", "settings": mode},
        "initialTurnsPage": None,
        **{
            f"{name}BackwardsCursor": json.dumps(
                {
                    "requestedThreadId": thread.id,
                    "rolloutOrdinal": thread.requests,
                    "includeAnchor": True,
                    "scope": {"kind": scope},
                },
                separators=(",", ":"),
            )
            for name, scope in scopes.items()
        },
    }


def turn_document(id_: str, **known: Any) -> dict[str, Any]:
    """Describe a turn; what is not given is as for one that was just accepted."""
    return {
        "id": id_,
        "rootTurnId": id_,
        "items": [],
        "itemsView": "notLoaded",
        "status": "inProgress",
        "error": None,
        "startedAt": None,
        "completedAt": None,
        "durationMs": None,
        **known,
    }


def user_message(id_: str, given: list[dict[str, Any]]) -> dict[str, Any]:
    """Describe what the user sent."""
    return {
        "type": "userMessage",
        "id": id_,
        "clientId": None,
        "content": [_content(item) for item in given],
    }


def _content(item: dict[str, Any]) -> dict[str, Any]:
    match item["type"]:
        case "text":
            return {
                "type": "text",
                "text": item["text"],
                "text_elements": item.get("text_elements", []),
            }
        case "image" if "url" in item:
            return {"type": "image", "url": item["url"], "detail": item.get("detail")}
        case "image":
            return {"type": "image", "fileId": item["fileId"], "detail": item.get("detail")}
        case "localImage":
            return {"type": "localImage", "detail": item.get("detail"), "path": item["path"]}
        case _:
            return item


def agent_message(id_: str, text: str) -> dict[str, Any]:
    """Describe what the model said."""
    return {
        "type": "agentMessage",
        "id": id_,
        "text": text,
        "phase": None,
        "memoryCitation": None,
        "delivery": None,
        "questions": None,
    }


def usage(requests: int) -> dict[str, int]:
    """Count the tokens of a thread as `codex exec` prints them."""
    return {
        "input_tokens": _COUNTS["input"] * requests,
        "cached_input_tokens": _COUNTS["cachedInput"] * requests,
        "cache_write_input_tokens": _COUNTS["cacheWriteInput"] * requests,
        "output_tokens": _COUNTS["output"] * requests,
        "reasoning_output_tokens": _COUNTS["reasoningOutput"] * requests,
    }


def token_usage(requests: int) -> dict[str, Any]:
    """Count the tokens of a thread as the app-server sends them."""
    return {
        "total": _tokens(requests),
        "last": _tokens(1),
        "modelContextWindow": _WINDOW,
    }


def _tokens(requests: int) -> dict[str, int]:
    total = (_COUNTS["input"] + _COUNTS["output"]) * requests
    return {
        "totalTokens": total,
        **{f"{name}Tokens": count * requests for name, count in _COUNTS.items()},
    }


def rate_limits() -> dict[str, Any]:
    """Describe the limits of an account that has none."""
    names = (
        *("limitName", "normalModelSlug", "primary", "secondary", "credits", "individualLimit"),
        *("spendControlReached", "planType", "rateLimitReachedType"),
    )
    return {"rateLimits": {"limitId": "codex", **dict.fromkeys(names)}}


def now_ms() -> int:
    """Return the time as notifications carry it."""
    return time.time_ns() // 1_000_000
