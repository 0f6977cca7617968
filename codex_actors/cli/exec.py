"""The verb `exec`: one codex turn with files attached."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from attrs import asdict
from cyclopts import Parameter
from rich.console import Console

from codex_actors.cli.common import AsJson, Seconds, StagingDir, with_files
from codex_actors.cli.errors import UsageError, visible
from codex_actors.cli.output import print_json
from codex_actors.codex import ThreadOptions, TurnResult, exec_turn
from codex_actors.files import Files


def exec_(
    prompt: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    attach: Annotated[list[Path] | None, Parameter(negative="", consume_multiple=True)] = None,
    model: str | None = None,
    sandbox: Literal["read-only", "workspace-write", "danger-full-access"] | None = None,
    cd: Path | None = None,
    config: Annotated[list[str] | None, Parameter(name=("--config", "-c"), negative="")] = None,
    ephemeral: Annotated[bool, Parameter(negative="")] = False,
    timeout: Seconds | None = None,
    codex: Path | None = None,
    staging_dir: StagingDir = None,
    as_json: AsJson = False,
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
    if timeout is not None and not timeout > 0:
        raise UsageError(f"--timeout {timeout:g}: give more than 0 seconds")
    settings = _settings(config or [])
    try:
        options = ThreadOptions(
            cwd=cd,
            model=model,
            sandbox=sandbox,
            config=settings,
            ephemeral=ephemeral,
            codex_path=codex,
        )
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from None

    async def work(tree: Files) -> TurnResult:
        turn = options
        with Console(stderr=True).status("staging") as status:
            for path in attach or []:
                status.update(f"staging {visible(str(path))}")
                turn = tree.attach(turn, await tree.stage(path))
            status.update("codex is working")
            return await exec_turn(prompt, turn, files=tree, timeout=timeout)

    result = with_files(staging_dir, work)
    if as_json:
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


def _settings(assignments: list[str]) -> dict[str, Any]:
    """Codex settings from KEY=VALUE; a value that is no TOML is a string, as codex takes it."""
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key:
            raise UsageError(f"--config {assignment!r}: give KEY=VALUE")
        try:
            settings[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            settings[key] = value
    return settings
