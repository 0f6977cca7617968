"""Checks of the supervisor: where it would be, whether one is there, and what a dead one left."""

import os
import stat
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from codex_actors.cli.checks.finding import Finding, fail, ok, warn
from codex_actors.cli.session import PATIENCE, address, with_supervisor
from codex_actors.cli.settings import Settings
from codex_actors.control.address import is_private
from codex_actors.control.claim import lock_path
from codex_actors.control.errors import AddressRefused, ControlError, NotRunning
from codex_actors.control.locks import lock_holder
from codex_actors.control.messages import Hello
from codex_actors.control.session import Session
from codex_actors.files.store.layout import Layout


def check_runtime_directory(_settings: Settings) -> Iterator[Finding]:
    """Give where sockets go by default."""
    name, named = "runtime dir", os.environ.get("XDG_RUNTIME_DIR")
    if not named:
        yield ok(name, "XDG_RUNTIME_DIR is not set; sockets lie beside the staging directory")
    elif is_private(Path(named)):
        yield ok(name, named)
    else:
        yield warn(
            name,
            f"XDG_RUNTIME_DIR is {named}, which is no directory of this user's alone",
            "nothing to do: sockets lie beside the staging directory then; or chmod 700 it",
        )


def check_socket(settings: Settings) -> Iterator[Finding]:
    """Give whether a supervisor answers, or what is in its place."""
    name = "supervisor"
    try:
        path = address(settings)
    except AddressRefused as error:
        yield fail(name, str(error), "name another path by --socket")
        return
    try:
        hello = with_supervisor(settings, _hello)
    except NotRunning:
        yield _left_at(name, path)
    except ControlError as error:
        pid = lock_holder(lock_path(path))
        who = f"process {pid}" if pid else "whoever listens there"
        yield fail(name, str(error), f"look at what {who} does, or end it")
    else:
        yield _running(name, path, hello)


def check_lock(settings: Settings) -> Iterator[Finding]:
    """Give which supervisor has the staging directory."""
    name = "directory lock"
    pid = lock_holder(Layout(settings.staging_dir).supervisor_lock)
    if pid is None:
        yield ok(name, "no supervisor has the staging directory")
        return
    try:
        there = with_supervisor(settings, _hello)["pid"]
    except ControlError:
        there = None
    if there == pid:
        yield ok(name, f"process {pid} has the staging directory")
    else:
        yield warn(
            name,
            f"process {pid} has the staging directory, and does not listen where it would by these"
            " settings",
            "wait if it is just starting or ending; else name its socket by --socket",
        )


async def _hello(session: Session) -> dict[str, Any]:
    return await session.request(Hello(), timeout=PATIENCE)


def _running(name: str, path: Path, hello: dict[str, Any]) -> Finding:
    version, ours = hello["version"], metadata.version("codex-actors")
    found = f"process {hello['pid']} at {path} ({hello['state']}), version {version}"
    if version != ours:
        return warn(name, found, f"this is version {ours}: start the supervisor again")
    return ok(name, found)


def _left_at(name: str, path: Path) -> Finding:
    """What is where a supervisor would listen, when none does."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return ok(name, f"none runs at {path}")
    if not stat.S_ISSOCK(mode):
        return fail(name, f"{path} is no socket", "move it away, or name another path by --socket")
    pid = lock_holder(lock_path(path))
    if pid is not None:
        advice = "wait a moment, and look again"
        return warn(name, f"process {pid} has {path}, and does not listen yet or any more", advice)
    return warn(
        name,
        f"{path} was left by a supervisor that was killed",
        "nothing to do: the next one takes its place",
    )


CHECKS = (
    ("runtime dir", check_runtime_directory),
    ("supervisor", check_socket),
    ("directory lock", check_lock),
)
