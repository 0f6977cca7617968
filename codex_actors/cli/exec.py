"""The verb `exec`: one codex turn with files attached."""

import shlex
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from attrs import asdict
from cyclopts import Parameter

from codex_actors.cli.common import NO_OPTIONS, Common, Executable, Seconds, with_files
from codex_actors.cli.errors import UsageError, visible
from codex_actors.cli.executable import codex_executable
from codex_actors.cli.output import print_json, status
from codex_actors.codex import ThreadOptions, TurnResult, exec_turn
from codex_actors.files import Files


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
    codex: Executable | None = None,
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
    codex
        The codex executable, if it should not be searched for.
    """
    if prompt is None:
        raise UsageError(_missing_prompt(attach or []))
    if timeout is not None and not timeout > 0:
        raise UsageError(f"--timeout {timeout:g}: give more than 0 seconds")
    overrides = _overrides(config or [])
    settings = common.load(codex=codex)
    executable = codex_executable(settings)
    try:
        options = ThreadOptions(
            cwd=cd,
            model=model,
            sandbox=sandbox,
            config=overrides,
            ephemeral=ephemeral,
            codex_path=executable,
        )
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from None

    async def work(tree: Files) -> TurnResult:
        turn = options
        with status("staging") as line:
            for path in attach or []:
                line.update(f"staging {visible(str(path))}")
                turn = tree.attach(turn, await tree.stage(path))
            line.update("codex is working")
            return await exec_turn(prompt, turn, files=tree, timeout=timeout)

    result = with_files(settings, work)
    if common.as_json:
        print_json(
            {
                "thread_id": result.thread_id,
                "final_message": result.final_message,
                "usage": asdict(result.usage),
            }
        )
    else:
        print(visible(result.final_message))  # noqa: T201 - the answer is the output
    return 0


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
    return overrides
