"""Owns what the fake codex executable does when it runs; `fake_codex` copies this file into it.

Invariant: needs nothing but the standard library, and ends by itself. Its parsing follows clap's:
`-i` takes every following word that is no option, and splits each at commas. Must not import
anything of this package, nor from __future__ (text stands before it in the executable).
"""

import base64
import json
import os
import signal
import stat
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any, NoReturn

LIFETIME = 300.0
_FLAGS = {"--json", "--skip-git-repo-check", "--ephemeral", "--ignore-user-config", "--oss"}
_VALUES = {
    "-s": "--sandbox",
    "-m": "--model",
    "-c": "--config",
    "-C": "--cd",
    "-o": "--output-last-message",
    "-p": "--profile",
    "--add-dir": "--add-dir",
    "--color": "--color",
}
_SANDBOXES = ("read-only", "workspace-write", "danger-full-access")


def run(settings: dict[str, Any]) -> NoReturn:
    """Be codex for one invocation."""
    if settings["stubborn"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if settings["stderr"]:
        sys.stderr.write(settings["stderr"])
        sys.stderr.flush()
    argv = sys.argv[1:]
    if argv == ["--version"]:
        sys.stdout.write("codex-cli 0.163.0\n")
        sys.exit(0)
    if argv[:1] != ["exec"]:
        _usage_error("the fake codex only knows `codex exec`")
    images, positional = parse(argv[1:])
    prompt = _prompt(positional)
    children = [
        subprocess.Popen([sys.executable, "-I", "-c", f"import time; time.sleep({LIFETIME})"]).pid
        for _ in range(settings["children"])
    ]
    _record(settings, argv, prompt, images, children)
    _turn(settings)


def parse(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the images and the positional arguments of `codex exec`."""
    images: list[str] = []
    positional: list[str] = []
    names = {**_VALUES, **{long: long for long in _VALUES.values()}}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option, equals, attached = word.partition("=")
        if word.startswith("-i") and len(word) > len("-i"):
            option, equals, attached = "-i", "=", word.removeprefix("-i").removeprefix("=")
        if word == "--":
            positional += rest
            break
        if option in {"-i", "--image"}:
            taken = [attached] if equals else _values(rest)
            if not taken:
                _usage_error("a value is required for '--image <FILE>...' but none was supplied")
            images += [path for value in taken for path in value.split(",")]
        elif option in names:
            value = attached if equals else (rest.pop(0) if rest else None)
            if value is None or (not equals and value.startswith("-") and value != "-"):
                _usage_error(f"a value is required for '{names[option]}' but none was supplied")
            if names[option] == "--sandbox" and value not in _SANDBOXES:
                _usage_error(f"invalid value '{value}' for '--sandbox <SANDBOX_MODE>'")
        elif word in _FLAGS or word == "-" or not word.startswith("-"):
            positional += [] if word in _FLAGS else [word]
        else:
            _usage_error(f"unexpected argument '{word}' found")
    return images, positional


def _values(rest: list[str]) -> list[str]:
    """Take what `-i` swallows: everything up to the next option."""
    taken: list[str] = []
    while rest and (rest[0] == "-" or not rest[0].startswith("-")):
        taken.append(rest.pop(0))
    return taken


def _prompt(positional: list[str]) -> str:
    if len(positional) > 1:
        _usage_error(f"unexpected argument '{positional[1]}' found")
    if positional and positional[0] != "-":
        added = "" if _stdin_kind() in {"terminal", "closed"} else sys.stdin.read()
        if not added.strip():
            return positional[0]
        end = "" if added.endswith("\n") else "\n"
        return f"{positional[0]}\n\n<stdin>\n{added}{end}</stdin>"
    text = sys.stdin.read()
    if not text.strip():
        sys.stderr.write("No prompt provided via stdin.\n")
        sys.exit(1)
    return text


def _record(
    settings: dict[str, Any], argv: list[str], prompt: str, images: list[str], children: list[int]
) -> None:
    record = {
        "argv": argv,
        "cwd": str(Path.cwd()),
        "env": {name: os.environ[name] for name in settings["env_names"] if name in os.environ},
        "stdin": _stdin_kind(),
        "prompt": prompt,
        "images": [[path, _read(path)] for path in images],
        "pid": os.getpid(),
        "children": children,
    }
    records = Path(settings["records"])
    # Written aside and renamed: a reader never sees half a record. The name sorts by time.
    partial = records / f"{os.getpid()}.partial"
    partial.write_text(json.dumps(record), "utf-8")
    partial.rename(records / f"{time.time_ns():020}-{os.getpid()}.json")


def _read(path: str) -> str | None:
    try:
        return base64.b64encode(Path(path).read_bytes()).decode()
    except OSError:
        return None


def _stdin_kind() -> str:
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


def _turn(settings: dict[str, Any]) -> NoReturn:
    _print({"type": "thread.started", "thread_id": str(uuid.uuid4())})
    _print({"type": "turn.started"})
    time.sleep(LIFETIME if settings["hang"] else settings["delay"])
    if settings["crash"]:
        os.kill(os.getpid(), signal.SIGKILL)
    if settings["garbage"]:
        sys.stdout.write("this is not an event\n")
    if settings["hang"] or settings["exit_code"]:
        message = "the fake codex was told to fail"
        _print({"type": "error", "message": message})
        _print({"type": "turn.failed", "error": {"message": message}})
        sys.exit(settings["exit_code"] or 1)
    item = {"id": "item_0", "type": "agent_message", "text": settings["reply"]}
    _print({"type": "item.completed", "item": item})
    usage = {
        "input_tokens": 11,
        "cached_input_tokens": 3,
        "cache_write_input_tokens": 0,
        "output_tokens": 7,
        "reasoning_output_tokens": 2,
    }
    _print({"type": "turn.completed", "usage": usage})
    sys.exit(0)


def _print(event: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(event, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def _usage_error(message: str) -> NoReturn:
    sys.stderr.write(f"error: {message}\n\nFor more information, try '--help'.\n")
    sys.exit(2)
