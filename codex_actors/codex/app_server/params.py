"""Owns what is sent with a thread and with a turn. Pure.

Invariant: only what every app-server knows: nothing that needs its experimental API; paths are
absolute, for a relative one is not found whatever the thread's directory is. Must not know
processes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from codex_actors.codex.options import ThreadOptions

__all__ = ["LocalImage", "RemoteImage", "check_options", "thread_params", "turn_input"]

APPROVAL_POLICY = "approval_policy"
WRITE_SETTINGS = "sandbox_workspace_write"
WRITABLE_ROOTS = "writable_roots"


@frozen
class LocalImage:
    """An image that codex reads from the disk."""

    path: Path


@frozen
class RemoteImage:
    """An image that the model's provider has."""

    file_id: str


def check_options(options: ThreadOptions) -> None:
    """Refuse what one thread of many cannot have of its own.

    Raises:
        ValueError: With the option's name.
    """
    for name in ("env", "codex_path"):
        if getattr(options, name) is not None:
            raise ValueError(
                f"a thread of an app-server cannot have {name} of its own: give {name} to "
                "open_app_server"
            )
    thread_params(options)


def thread_params(options: ThreadOptions) -> dict[str, Any]:
    """Return the parameters of `thread/start`; `thread/resume` and `thread/fork` take them too.

    There is nobody whom codex could ask for approval, so the policy is `never` unless `config`
    names another.

    Raises:
        ValueError: `config` holds a number that JSON has no form for.
    """
    config = {key: _plain(value, key) for key, value in options.config.items()}
    cwd = Path.cwd() / (options.cwd or "")
    params: dict[str, Any] = {}
    if options.cwd is not None:
        params["cwd"] = str(cwd)
    if options.model is not None:
        params["model"] = options.model
    if options.sandbox is not None:
        params["sandbox"] = options.sandbox
    if APPROVAL_POLICY not in config:
        params["approvalPolicy"] = "never"
    if options.add_dirs:
        _add_roots(config, [str(cwd / path) for path in options.add_dirs])
    if config:
        params["config"] = config
    return params


def turn_input(
    text: str, images: Iterable[LocalImage | RemoteImage], detail: str | None
) -> list[dict[str, Any]]:
    """Return the input of a turn: the prompt, then the images in their order."""
    items: list[dict[str, Any]] = [{"type": "text", "text": text}]
    for image in images:
        if isinstance(image, LocalImage):
            item = {"type": "localImage", "path": str(image.path)}
        else:
            item = {"type": "image", "fileId": image.file_id}
        items.append(item if detail is None else {**item, "detail": detail})
    return items


def _add_roots(config: dict[str, Any], roots: list[str]) -> None:
    """Add to the roots that the user's own settings name, in a table or by a dotted key."""
    dotted = f"{WRITE_SETTINGS}.{WRITABLE_ROOTS}"
    table = config.get(WRITE_SETTINGS)
    if isinstance(table, dict):
        settings = cast("dict[str, Any]", table)
        settings[WRITABLE_ROOTS] = [*settings.get(WRITABLE_ROOTS, ()), *roots]
    else:
        config[dotted] = [*config.get(dotted, ()), *roots]


def _plain(value: object, place: str) -> Any:
    """Return a setting as JSON's own kinds of values."""
    match value:
        case float() if not math.isfinite(value):
            raise ValueError(f"config value {place} is {value}, which cannot be sent to a thread")
        case Mapping():
            table = cast("Mapping[str, object]", value)
            return {key: _plain(entry, f"{place}.{key}") for key, entry in table.items()}
        case Sequence() if not isinstance(value, str):
            items = cast("Sequence[object]", value)
            return [_plain(entry, place) for entry in items]
        case _:
            return value
