"""Owns `codex exec`: one turn, its events on standard output, one JSON object a line.

Invariant: bad images change nothing but what the model sees; the exit status is 0 for a completed
turn and 1 for any other. Must not know the app-server.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .arguments import absolute, parse_exec
from .documents import agent_message, turn_document, usage, user_message
from .faults import Failure, Faults, Stall, hang
from .identifiers import InvalidId, checked_id, new_id
from .images import model_parts
from .storage import Storage, Thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from .arguments import ExecLine
    from .journal import Journal

__all__ = ["exec_turn", "stdin_kind"]


def exec_turn(
    words: list[str],
    journal: Journal,
    faults: Faults,
    open_storage: Callable[[], Storage],
    next_reply: Callable[[], str],
) -> NoReturn:
    """Be `codex exec` with these arguments."""
    line = parse_exec(words)
    positional = list(line.positional)
    wanted = None
    if line.resumes and "--last" not in line.flags:
        wanted = positional.pop(0) if positional else None
    prompt = _prompt(positional, appends_stdin=not line.resumes)
    cwd = Path(absolute(line.last("--cd")))
    if "--skip-git-repo-check" not in line.flags and not _in_repository(cwd):
        _end("Not inside a trusted directory and --skip-git-repo-check was not specified.")
    if not cwd.is_dir():
        _end("Error: No such file or directory (os error 2)")
    storage = open_storage()
    thread = _thread(line, wanted, storage)
    journal.record("exec", prompt=prompt, thread_id=thread.id, images=line.images)
    try:
        time.sleep(faults.meet("exec"))
    except Failure as failure:
        _end(f"Error: {failure.message}")
    except Stall:
        hang()
    _Turn(line, thread, storage, journal, faults).run(prompt, next_reply)


class _Turn:
    def __init__(
        self, line: ExecLine, thread: Thread, storage: Storage, journal: Journal, faults: Faults
    ) -> None:
        self._line = line
        self._thread = thread
        self._storage = storage
        self._journal = journal
        self._faults = faults

    def run(self, prompt: str, next_reply: Callable[[], str]) -> NoReturn:
        try:
            self._run(prompt, next_reply)
        except Failure as failure:
            self._print({"type": "error", "message": failure.message})
            self._print({"type": "turn.failed", "error": {"message": failure.message}})
            sys.exit(1)
        except Stall:
            hang()
        sys.exit(0)

    def _run(self, prompt: str, next_reply: Callable[[], str]) -> None:
        thread = self._thread
        self._event("thread.started", thread_id=thread.id)
        self._event("turn.started")
        given = [{"type": "localImage", "path": path} for path in self._line.images]
        given.append({"type": "text", "text": prompt})
        parts, images = model_parts(given, self._journal)
        turn = turn_document(
            new_id(), startedAt=int(time.time()), items=[user_message(new_id(), given)]
        )
        thread.preview = thread.preview or prompt
        self._save(turn)
        self._journal.record(
            "turn", thread_id=thread.id, turn_id=turn["id"], parts=parts, images=images
        )
        reply = next_reply()
        self._event("item.completed", item={"id": "item_0", "type": "agent_message", "text": reply})
        thread.requests += 1
        turn["items"].append(agent_message(f"msg_{new_id()}", reply))
        turn["status"], turn["completedAt"] = "completed", int(time.time())
        self._save(turn)
        if output := self._line.last("--output-last-message"):
            Path(output).write_text(reply, encoding="utf-8")
        self._event("turn.completed", usage=usage(thread.requests))
        if "--json" not in self._line.flags:
            sys.stdout.write(f"{reply}\n")

    def _save(self, turn: dict[str, Any]) -> None:
        self._thread.updated_at = int(time.time())
        self._thread.last_turn = turn["id"]
        self._storage.save(self._thread)
        self._storage.save_turn(self._thread, {**turn, "itemsView": "full"})

    def _event(self, kind: str, **members: Any) -> None:
        time.sleep(self._faults.meet(kind))
        self._print({"type": kind, **members})

    def _print(self, event: dict[str, Any]) -> None:
        if "--json" in self._line.flags:
            sys.stdout.write(json.dumps(event, separators=(",", ":"), ensure_ascii=False) + "\n")
            sys.stdout.flush()


def _thread(line: ExecLine, wanted: str | None, storage: Storage) -> Thread:
    cwd = absolute(line.last("--cd"))
    found = None
    if line.resumes:
        found = _resumed(wanted, storage, None if "--all" in line.flags else cwd)
    thread = found or Thread(
        cwd=cwd,
        model=str(line.last("--model") or line.config.get("model", "gpt-5")),
        provider=str(line.config.get("model_provider", "openai")),
        sandbox=str(line.last("--sandbox") or line.config.get("sandbox_mode", "read-only")),
        approval="never",
        ephemeral="--ephemeral" in line.flags,
    )
    if not storage.lock(thread.id):
        _end(_resume_error(f"thread {thread.id} already has an active writer"))
    return thread


def _resumed(wanted: str | None, storage: Storage, cwd: str | None) -> Thread | None:
    """Find the thread to resume; a name that is no id and not known begins a new one."""
    if wanted is None:
        return storage.newest(cwd)
    try:
        thread_id = checked_id(wanted, "session id")
    except InvalidId:
        return None
    found = storage.find(thread_id)
    if found is None:
        _end(_resume_error(f"no rollout found for thread id {thread_id}"))
    return found


def _resume_error(message: str) -> str:
    return f"Error: thread/resume: thread/resume failed: {message} (code -32600)"


def _prompt(positional: list[str], *, appends_stdin: bool) -> str:
    readable = stdin_kind() not in {"terminal", "closed"}
    if positional and positional[0] != "-":
        if not (appends_stdin and readable):
            return positional[0]
        sys.stderr.write("Reading additional input from stdin...\n")
        added = sys.stdin.read()
        if not added.strip():
            return positional[0]
        end = "" if added.endswith("\n") else "\n"
        return f"{positional[0]}\n\n<stdin>\n{added}{end}</stdin>"
    if not positional:
        sys.stderr.write("Reading prompt from stdin...\n")
    text = sys.stdin.read()
    if not text.strip():
        _end("No prompt provided via stdin.")
    return text


def stdin_kind() -> str:
    """Tell what standard input is: "null", "file", "pipe", "terminal" or "closed"."""
    try:
        status = os.fstat(0)
        null = Path(os.devnull).stat()
    except OSError:
        return "closed"
    if os.isatty(0):
        return "terminal"
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == null.st_rdev:
        return "null"
    return "file" if stat.S_ISREG(status.st_mode) else "pipe"


def _in_repository(cwd: Path) -> bool:
    return any((parent / ".git").exists() for parent in (cwd, *cwd.parents))


def _end(message: str) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    sys.exit(1)
