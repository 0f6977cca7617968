"""Owns one invocation of the fake: what every mode has, and which mode it is.

Invariant: it ends by itself, after `LIFETIME` at the latest when it hangs. Must not know what a
mode does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from .arguments import parse_app_server, usage_error
from .documents import VERSION
from .exec_mode import exec_turn, stdin_kind
from .faults import LIFETIME, Faults
from .journal import Journal
from .server import AppServer
from .storage import Storage

__all__ = ["run"]


def run(settings: dict[str, Any]) -> None:
    """Be codex for one invocation."""
    if settings["stubborn"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if settings["stderr"]:
        sys.stderr.write(settings["stderr"])
        sys.stderr.flush()
    argv = sys.argv[1:]
    if argv == ["--version"]:
        sys.stdout.write(f"codex-cli {VERSION}\n")
        return
    records = Path(settings["records"])
    journal = Journal(records)
    faults = Faults(settings["faults"], journal)
    # Never below the user's own home: a test that sets no CODEX_HOME must not write there.
    home = Path(os.environ.get("CODEX_HOME") or records / "home").absolute()

    def next_reply() -> str:
        replies: list[str] = settings["replies"]
        return replies[min(journal.count("replies"), len(replies)) - 1]

    match argv[:1]:
        case ["exec"]:
            _began(settings, argv, journal)
            exec_turn(argv[1:], journal, faults, lambda: Storage(home), next_reply)
        case ["app-server"]:
            config = parse_app_server(argv[1:])
            _began(settings, argv, journal)
            storage = Storage(home)
            AppServer(
                config,
                home,
                journal=journal,
                faults=faults,
                storage=storage,
                next_reply=next_reply,
            ).serve()
        case _:
            usage_error("the fake codex only knows `codex exec` and `codex app-server`")


def _began(settings: dict[str, Any], argv: list[str], journal: Journal) -> None:
    children = [
        subprocess.Popen([sys.executable, "-I", "-c", f"import time; time.sleep({LIFETIME})"]).pid
        for _ in range(settings["children"])
    ]
    journal.record(
        "process",
        argv=argv,
        cwd=str(Path.cwd()),
        env={name: os.environ[name] for name in settings["env_names"] if name in os.environ},
        stdin=stdin_kind(),
        pid=os.getpid(),
        children=children,
    )
