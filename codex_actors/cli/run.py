"""The verb `run`: be the supervisor process."""

import os
import signal
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Annotated

from cyclopts import Parameter

from codex_actors.cli.common import NO_OPTIONS, Common, Seconds
from codex_actors.cli.errors import SettingsError
from codex_actors.cli.output import is_live
from codex_actors.cli.settings import LogFormat, LogLevel
from codex_actors.control.address import choose_address
from codex_actors.control.process.program import Plan, run_program
from codex_actors.control.process.ready import Ready
from codex_actors.control.process.trees import TreeError, load_trees
from codex_actors.telemetry.levels import Level
from codex_actors.telemetry.log import Log
from codex_actors.telemetry.stdlib import capturing
from codex_actors.telemetry.writer import LineWriter


def run(
    *trees: Annotated[str, Parameter(name="TREE")],
    once: bool = False,
    drain_timeout: Seconds | None = None,
    cancel_grace: Seconds | None = None,
    log_format: LogFormat | None = None,
    log_level: LogLevel | None = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Run trees; the parameters as `run --help` shows them.

    Parameters
    ----------
    trees
        What to run: files, package.module:TREE, or name=package.module:TREE. [default: files]
    once
        Stop as soon as everything is up: to see whether it starts.
    drain_timeout
        How long what is under way may take to finish at the end. [default: 30s]
    cancel_grace
        How long cleanup may take after that. [default: 10s]
    log_format
        How log lines look: text or json. [default: text]
    log_level
        The least important that is logged. [default: info]
    """
    # The tree is shown on request while there is one: no reason to die before and after.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    settings = common.load(
        trees=trees,
        drain_timeout=drain_timeout,
        cancel_grace=cancel_grace,
        log_format=log_format,
        log_level=log_level,
    )
    try:
        loaded = load_trees(settings.trees)
    except TreeError as error:
        raise SettingsError(str(error)) from error
    plan = Plan(
        trees=loaded,
        files=settings.files_config() if any(tree.spec is None for tree in loaded) else None,
        address=choose_address(settings.staging_dir, settings.socket),
        drain_timeout=settings.drain_timeout,
        cancel_grace=settings.cancel_grace,
        once=once,
        environ=os.environ,
    )
    level = Level.of(common.log_level(settings))
    with ExitStack() as stack:
        # What nobody reads must not stop us, not even at the very end.
        out, err = (
            stack.enter_context(LineWriter(stream.fileno())) for stream in _flushed_streams()
        )
        log = Log(err.write, form=settings.log_format, level=level)
        err.on_dropped = log.dropped

        def tell(ready: Ready) -> None:
            out.write(ready.as_json() if common.as_json else ready.as_text())

        live = is_live(sys.stderr) and settings.log_format == "text" and level <= Level.INFO
        stack.callback(_drop_unread)
        stack.enter_context(capturing(log, level))
        return run_program(plan, log, on_ready=tell, show=err.show if live else None)


def _drop_unread() -> None:
    """What actors printed, and nobody took, is no failure of the trees."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):  # full, its reader gone; or closed by an actor
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end


def _flushed_streams() -> tuple[IO[str], IO[str]]:
    sys.stdout.flush()
    sys.stderr.flush()
    return sys.stdout, sys.stderr
