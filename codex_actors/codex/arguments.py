"""Owns the argument vector of `codex exec`, and what a turn is asked with. Pure.

Invariant: every value arrives as one value: `--` stands before the prompt, for `-i` would swallow
it, and what could be taken for an option or for "read standard input" goes by standard input. Must
not start anything.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

from codex_actors.codex.errors import InvalidPrompt, InvalidTimeout
from codex_actors.codex.toml import config_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codex_actors.codex.options import ThreadOptions

__all__ = [
    "MAX_ARGUMENT",
    "check_prompt",
    "check_thread_id",
    "check_timeout",
    "exec_arguments",
    "goes_by_stdin",
]

_THREAD_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)

MAX_ARGUMENT = 100_000
"""Bytes: Linux takes at most 131,071 in one argument."""


def check_timeout(timeout: float | None) -> float:
    """Return the seconds that a turn may take, infinity for None.

    Raises:
        InvalidTimeout: It is not positive.
    """
    seconds = math.inf if timeout is None else timeout
    if not seconds > 0:  # So that NaN is refused too.
        raise InvalidTimeout(
            f"the timeout is {timeout!r}: give a positive number of seconds, or None for no limit"
        )
    return seconds


def check_prompt(prompt: str) -> None:
    """Refuse a prompt that no process could be given, or that says nothing.

    Raises:
        InvalidPrompt: With what is wrong with it.
    """
    if not prompt.strip():
        raise InvalidPrompt("the prompt is empty: say what codex is to do")
    if "\0" in prompt:
        raise InvalidPrompt(
            f"the prompt has a NUL character at {prompt.index(chr(0))}: remove it, or attach the "
            "data as a file"
        )
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise InvalidPrompt(
            f"the prompt is not valid Unicode: it has a lone surrogate at {error.start}"
        ) from None


def goes_by_stdin(prompt: str) -> bool:
    """Tell whether the prompt cannot be an argument: too long, or the sign for standard input."""
    return prompt == "-" or len(prompt.encode()) > MAX_ARGUMENT


def check_thread_id(thread_id: str | None) -> None:
    """Refuse what cannot be the id of a thread: codex takes it for a name, and begins a new one.

    Raises:
        InvalidPrompt: With what is wrong with it.
    """
    if thread_id is not None and _THREAD_ID.fullmatch(thread_id) is None:
        raise InvalidPrompt(
            f"the thread to resume is {thread_id!r}: give the `thread_id` of an earlier result"
        )


def exec_arguments(
    options: ThreadOptions, images: Sequence[Path], prompt: str, resume: str | None = None
) -> list[str]:
    """Return what follows the executable.

    Args:
        options: Of the turn.
        images: Absolute paths without commas.
        prompt: What is asked.
        resume: The thread to go on with, None for a new one.
    """
    arguments = ["exec", "--json", "--skip-git-repo-check"]
    if options.ephemeral:
        arguments.append("--ephemeral")
    if options.sandbox is not None:
        arguments += ["-s", options.sandbox]
    if options.model is not None:
        arguments += ["-m", options.model]
    arguments += config_arguments(options.config)
    base = Path.cwd() / (options.cwd or "")
    for directory in options.add_dirs:
        arguments += ["--add-dir", str(base / directory)]
    if resume is not None:
        arguments.append("resume")  # the images are its own; what stands before it holds for it
    for image in images:
        arguments += ["-i", str(image)]
    arguments.append("--")
    if resume is not None:
        arguments.append(resume)
    return [*arguments, "-" if goes_by_stdin(prompt) else prompt]
