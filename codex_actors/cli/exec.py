"""The verb `exec`: one codex turn with files attached."""

import json
import os
import shlex
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.markup import escape

from codex_actors.cli.common import NO_OPTIONS, Common, Executable, Seconds
from codex_actors.cli.errors import UsageError
from codex_actors.cli.executable import codex_executable
from codex_actors.cli.following import follow, json_line
from codex_actors.cli.output import print_json, status
from codex_actors.cli.paths import path_for_others
from codex_actors.cli.session import with_session
from codex_actors.codex import ThreadOptions
from codex_actors.control.messages import Exec
from codex_actors.control.session import Session
from codex_actors.telemetry.text import visible

_NEWLINE = "\n"


def exec_(
    prompt: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    attach: Annotated[
        list[Path] | None, Parameter(name=("--attach", "-a"), metavar="FILE", consume_multiple=True)
    ] = None,
    model: Annotated[str | None, Parameter(name=("--model", "-m"), metavar="NAME")] = None,
    sandbox: Annotated[
        Literal["read-only", "workspace-write", "danger-full-access"] | None,
        Parameter(metavar="MODE"),
    ] = None,
    cd: Annotated[Path | None, Parameter(name=("--cd", "-C"), metavar="DIR")] = None,
    config: Annotated[
        list[str] | None, Parameter(name=("--config", "-c"), metavar="KEY=VALUE")
    ] = None,
    ephemeral: bool = False,
    timeout: Seconds | None = None,
    resume: Annotated[str | None, Parameter(metavar="THREAD")] = None,
    codex: Executable | None = None,
    stream: bool = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Run one codex turn; the parameters as `exec --help` shows them.

    Parameters
    ----------
    prompt
        What to ask; it stands before the options.
    attach
        Files to stage and attach: all that follow, up to the next option.
    model
        The model to use.
    sandbox
        What the agent may do.
    cd
        The directory to work in.
    config
        A setting of codex, as KEY=VALUE with a TOML value; may be repeated.
    ephemeral
        Keep no session file.
    timeout
        How long the turn may take: seconds, 90s, 5m; no limit otherwise.
    resume
        Go on with the thread of this id, as --json shows it.
    codex
        The codex executable, if it should not be searched for.
    stream
        Print what happens while it happens, each as one line of JSON; the last is the answer.
    """
    if prompt is None:
        raise UsageError(_missing_prompt(attach or []))
    if attach is not None and not attach:
        raise UsageError("--attach needs a FILE")
    if timeout is not None and not timeout > 0:
        raise UsageError(f"--timeout {timeout:g}: give more than 0 seconds")
    overrides = _overrides(config or [])
    settings = common.load(codex=codex)
    executable = codex_executable(settings)
    try:
        ThreadOptions(  # here what makes no sense is the user's to mend
            cwd=cd,
            model=model,
            sandbox=sandbox,
            config=overrides,
            ephemeral=ephemeral,
            codex_path=executable,
        )
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from None

    message = Exec(
        prompt=prompt,
        attach=tuple(path_for_others(path) for path in attach or []),
        cwd=path_for_others(cd or Path()),
        model=model,
        sandbox=sandbox,
        config=overrides,
        ephemeral=ephemeral,
        env=dict(os.environ),
        codex=str(executable.absolute()),
        timeout=timeout,
        resume=resume,
    )

    async def work(session: Session) -> dict[str, Any]:
        if stream:
            return await follow(session, message, json_line)
        with status("starting") as line:
            return await session.request(message, on_note=lambda note: line.update(_doing(note)))

    answer = with_session(settings, work)
    if stream:
        print(json_line({"state": "done", **answer}), end="")  # noqa: T201 - as those before it
    elif common.as_json:
        print_json(answer)
    else:
        print(visible(answer["final_message"]))  # noqa: T201 - the answer is the output
    return 0


def _doing(note: dict[str, Any]) -> str:
    """What is going on, for the last line of a terminal."""
    if note["state"] == "staging":
        return f"staging {escape(visible(note['what']))}"
    match note.get("event"):
        case {"type": "item.started", "item": {"type": "command_execution", "command": str(text)}}:
            return f"codex runs {escape(visible(text.partition(_NEWLINE)[0][:60]))}"
        case {"type": "item.started" | "item.completed", "item": {"type": str(kind)}}:
            return f"codex: {escape(visible(kind.replace('_', ' ')))}"
        case {"type": "error", "message": str(text)}:
            return f"codex: {escape(visible(text.partition(_NEWLINE)[0][:60]))}"
        case _:
            return "codex is working"


def _missing_prompt(attached: list[Path]) -> str:
    """What to say when no argument is left for the prompt: --attach may have taken it."""
    if not attached or attached[-1].exists():
        return "the prompt is missing: exec PROMPT --attach FILE"
    *files, prompt = map(str, attached)
    order = shlex.join([prompt, *(["--attach", *files] if files else [])])
    return f"--attach takes all that follows: put the prompt before it, as in exec {order}"


def _overrides(assignments: list[str]) -> dict[str, Any]:
    """Codex settings from KEY=VALUE; a value that is no TOML is a string, as codex takes it."""
    overrides: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key:
            raise UsageError(f"--config {assignment!r}: give KEY=VALUE")
        try:
            overrides[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            overrides[key] = value
        try:
            json.dumps(overrides[key], allow_nan=False)
        except (TypeError, ValueError):
            raise UsageError(
                f"--config {assignment!r}: codex has no setting that is a date, a time, inf or nan;"
                " quote it if it is a text"
            ) from None
    return overrides
