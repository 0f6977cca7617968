"""Owns the command line of codex, parsed as clap parses it.

Invariant: `-i` takes every following word that is no option (only one after `resume`), and splits
each at commas; what is refused is refused with codex's words and status 2. Must not do anything.
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["ExecLine", "absolute", "config_of", "parse_app_server", "parse_exec", "usage_error"]

_SANDBOXES = ("read-only", "workspace-write", "danger-full-access")
_COMMON_FLAGS = {
    "--json",
    "--skip-git-repo-check",
    "--ephemeral",
    "--ignore-user-config",
    "--ignore-rules",
    "--strict-config",
    "--dangerously-bypass-approvals-and-sandbox",
    "--dangerously-bypass-hook-trust",
    "--worktree",
}
_EXEC_FLAGS = {*_COMMON_FLAGS, "--oss", "--approve-for-me"}
_RESUME_FLAGS = {*_COMMON_FLAGS, "--last", "--all"}
_COMMON_VALUES = {
    "-m": "--model",
    "-c": "--config",
    "-o": "--output-last-message",
    **{
        name: name
        for name in ("--enable", "--disable", "--thread-source", "--cyber-access-program")
    },
}
_EXEC_VALUES = {
    **_COMMON_VALUES,
    "-s": "--sandbox",
    "-C": "--cd",
    "-p": "--profile",
    **{name: name for name in ("--add-dir", "--color", "--local-provider", "--output-schema")},
}
_SERVER_FLAGS = {"--stdio", "--strict-config", "--analytics-default-enabled"}
_SERVER_VALUES = {"-c": "--config", "--enable": "--enable", "--disable": "--disable"}
_SERVER_VALUES["--listen"] = "--listen"


@dataclass
class ExecLine:
    """What was asked of `codex exec`."""

    flags: set[str] = field(default_factory=set[str])
    values: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    images: list[str] = field(default_factory=list[str])
    positional: list[str] = field(default_factory=list[str])
    resumes: bool = False

    def last(self, option: str) -> str | None:
        """Return the value of an option, the last one when there are several."""
        return self.values.get(option, [None])[-1]

    @property
    def config(self) -> dict[str, Any]:
        """The settings, as `-c` gave them."""
        return config_of(self.values.get("--config", []))


def parse_exec(words: list[str]) -> ExecLine:
    """Read what follows `codex exec`."""
    line = ExecLine()
    rest = list(words)
    _options(line, rest, _EXEC_FLAGS, _EXEC_VALUES, stop={"resume"}, several_images=True)
    if line.resumes:
        _options(line, rest, _RESUME_FLAGS, _COMMON_VALUES, stop=set(), several_images=False)
    allowed = (2 if "--last" not in line.flags else 1) if line.resumes else 1
    if len(line.positional) > allowed:
        usage_error(f"unexpected argument '{line.positional[allowed]}' found")
    return line


def parse_app_server(words: list[str]) -> dict[str, Any]:
    """Read what follows `codex app-server`; return the settings."""
    line = ExecLine()
    _options(line, list(words), _SERVER_FLAGS, _SERVER_VALUES, stop=set(), several_images=False)
    if line.images or line.positional:
        usage_error(f"unexpected argument '{[*line.images, *line.positional][0]}' found")
    if line.last("--listen") not in {None, "stdio://"}:
        usage_error("the fake codex only listens to stdio://")
    return line.config


def config_of(assignments: list[str]) -> dict[str, Any]:
    """Read `key=value` settings; a value that is no TOML is text."""
    config: dict[str, Any] = {}
    for assignment in assignments:
        key, _, value = assignment.partition("=")
        try:
            config[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            config[key] = value
    return config


def _options(
    line: ExecLine,
    rest: list[str],
    flags: set[str],
    values: dict[str, str],
    *,
    stop: set[str],
    several_images: bool,
) -> None:
    names = {**values, **{long: long for long in values.values()}}
    while rest:
        word = rest.pop(0)
        option, equals, attached = word.partition("=")
        if word.startswith("-i") and len(word) > len("-i"):
            option, equals, attached = "-i", "=", word.removeprefix("-i").removeprefix("=")
        if word == "--":
            line.positional += rest
            rest.clear()
        elif word in stop and not line.positional:
            line.resumes = True
            return
        elif option in {"-i", "--image"}:
            taken = [attached] if equals else _image_values(rest, several=several_images)
            if not taken:
                usage_error("a value is required for '--image <FILE>...' but none was supplied")
            line.images += [path for value in taken for path in value.split(",")]
        elif option in names:
            value = attached if equals else (rest.pop(0) if rest else None)
            if value is None or (not equals and value.startswith("-") and value != "-"):
                usage_error(f"a value is required for '{names[option]}' but none was supplied")
            if names[option] == "--sandbox" and value not in _SANDBOXES:
                usage_error(f"invalid value '{value}' for '--sandbox <SANDBOX_MODE>'")
            line.values.setdefault(names[option], []).append(value)
        elif word in flags:
            line.flags.add(word)
        elif word == "-" or not word.startswith("-"):
            line.positional.append(word)
        else:
            usage_error(f"unexpected argument '{word}' found")


def _image_values(rest: list[str], *, several: bool) -> list[str]:
    """Take what `-i` swallows: up to the next option, or one value."""
    taken: list[str] = []
    while rest and (rest[0] == "-" or not rest[0].startswith("-")) and (several or not taken):
        taken.append(rest.pop(0))
    return taken


def usage_error(message: str) -> NoReturn:
    """Refuse the command line as clap does."""
    sys.stderr.write(f"error: {message}\n\nFor more information, try '--help'.\n")
    sys.exit(2)


def absolute(cwd: str | None) -> str:
    """Return a directory as codex shows it."""
    return str((Path.cwd() / (cwd or "")).resolve())
