"""Owns `ThreadOptions`: everything about a codex thread that its user chooses.

Invariant: immutable, and valid once built, so that a turn can only fail for what the world is like.
No value of `env` or `config` shows in its repr. Must not know processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from attrs import Attribute, field, frozen

from codex_actors.codex.toml import config_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codex_actors.files import Attachment

__all__ = ["ImageDetail", "Sandbox", "ThreadOptions"]

Sandbox = Literal["read-only", "workspace-write", "danger-full-access"]
ImageDetail = Literal["auto", "high", "original"]


def _check_attachments(_options: object, _attribute: Attribute[Any], value: object) -> None:
    # No converter: its type would hide from type checkers that this is a tuple of attachments.
    if not isinstance(value, tuple):
        raise TypeError(f"attachments is a {type(value).__name__}: give a tuple of attachments")


def _path(value: str | os.PathLike[str] | None) -> Path | None:
    return None if value is None else Path(value)


def _executable(value: str | os.PathLike[str] | None) -> Path | None:
    """Keep "./codex" apart from "codex", which a `Path` does not: that one is found on PATH."""
    if value is None or os.sep not in os.fspath(value):
        return _path(value)
    expanded = os.path.expanduser(value)  # noqa: PTH111 - a `Path` would take "./~" for the home
    if expanded.startswith("~"):
        raise ValueError(
            f"codex_path {os.fspath(value)!r} begins with a home directory that is not known: "
            "give the whole path"
        )
    return Path(expanded).absolute()


def _paths(values: Iterable[str | os.PathLike[str]]) -> tuple[Path, ...]:
    if isinstance(values, str | os.PathLike):
        raise TypeError(f"add_dirs takes several directories: write ({str(values)!r},)")
    return tuple(Path(value) for value in values)


def _freeze(value: object) -> Any:
    if isinstance(value, Mapping):
        table = cast("Mapping[object, object]", value)
        return MappingProxyType({key: _freeze(entry) for key, entry in table.items()})
    if isinstance(value, list | tuple):
        return tuple(_freeze(entry) for entry in cast("Sequence[object]", value))
    return value


def _frozen_mapping(value: Mapping[str, Any]) -> Mapping[str, Any]:
    frozen_value: Mapping[str, Any] = _freeze(value)
    return frozen_value


def _frozen_env(value: Mapping[str, str] | None) -> Mapping[str, str] | None:
    return None if value is None else MappingProxyType(dict(value))


def _check_model(_options: object, _attribute: Attribute[Any], value: str | None) -> None:
    if value is not None and (not value or value.startswith("-") or not value.isprintable()):
        raise ValueError(f"model {value!r} is not a model's name")


def _check_sandbox(_options: object, _attribute: Attribute[Any], value: str | None) -> None:
    if value is not None and value not in get_args(Sandbox):
        raise ValueError(f"sandbox {value!r} is not one of {', '.join(get_args(Sandbox))}")


def _check_config(_options: object, _attribute: Attribute[Any], value: Mapping[str, Any]) -> None:
    config_arguments(value)


def _check_detail(_options: object, _attribute: Attribute[Any], value: str | None) -> None:
    if value is not None and value not in get_args(ImageDetail):
        raise ValueError(
            f"image_detail {value!r} is not one of {', '.join(get_args(ImageDetail))}: "
            "codex would leave the image out of the turn without saying so"
        )


def _check_env(
    _options: object, _attribute: Attribute[Any], value: Mapping[str, object] | None
) -> None:
    for name, text in (value or {}).items():
        # The messages name the variable only: its value may be a secret.
        if not isinstance(text, str):
            raise TypeError(f"environment variable {name!r} must be text")
        if not name or "=" in name or "\0" in name + text:
            raise ValueError(f"environment variable {name!r} cannot be passed to a process")


def _keys(value: Mapping[str, object] | None) -> str:
    return "None" if value is None else "{" + ", ".join(f"{key!r}: ..." for key in value) + "}"


@frozen
class ThreadOptions:
    """How to run codex, and what to give it. Use `files.attach(options, attachment)` to attach.

    Attributes:
        attachments: Delivered with the turn (of an app-server's thread: the first), in this order.
        cwd: The agent's working directory; that of this process when None.
        model: The model to use; codex's own setting when None.
        sandbox: What the agent's commands may do. `read-only` and `workspace-write` may read
            everything that this user can, so that attachments need no further permission.
        config: Settings of codex, as in its `config.toml`; a key may be a dotted path. They are
            arguments of the process and so visible to other users: put secrets into `env`.
        image_detail: `codex exec` always sends "high", which "auto" and None leave to it. The
            app-server takes "original" too, which codex lowers to "high" for a model that cannot
            have it. ("low" is refused: codex leaves such images out.)
        add_dirs: Further directories that the agent may write to, under `workspace-write`.
        ephemeral: Keep no record of the thread on disk.
        env: Environment variables, merged over the inherited ones. Not for a thread of an
            app-server, whose threads share a process: `open_app_server` takes it.
        codex_path: The codex executable; see `find_codex`. As for `env`.
    """

    attachments: tuple[Attachment, ...] = field(default=(), validator=_check_attachments)
    cwd: Path | None = field(default=None, converter=_path)
    model: str | None = field(default=None, validator=_check_model)
    sandbox: Sandbox | None = field(default=None, validator=_check_sandbox)
    config: Mapping[str, Any] = field(
        default={}, converter=_frozen_mapping, validator=_check_config, repr=_keys
    )
    image_detail: ImageDetail | None = field(default=None, validator=_check_detail)
    add_dirs: tuple[Path, ...] = field(default=(), converter=_paths)
    ephemeral: bool = False
    env: Mapping[str, str] | None = field(
        default=None, converter=_frozen_env, validator=_check_env, repr=_keys
    )
    codex_path: Path | None = field(default=None, converter=_executable)
