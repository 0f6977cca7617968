"""The verb `stage`: copy files into the staging directory."""

import math
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Annotated, Any

import attrs
import trio
from cyclopts import Parameter, Token

from codex_actors.cli.attachments import print_attachments
from codex_actors.cli.common import NO_OPTIONS, Common, Seconds
from codex_actors.cli.errors import UsageError
from codex_actors.cli.many import Failure, documents, each, exit_code, report
from codex_actors.cli.output import print_json, status
from codex_actors.cli.paths import path_for_others
from codex_actors.cli.session import PATIENCE, with_session
from codex_actors.cli.settings import Settings
from codex_actors.control.messages import Hello, Stage
from codex_actors.control.session import Session
from codex_actors.files import open_files

Document = dict[str, Any]

_STDIN = Path("-")
_CHUNK = 1 << 20


def _paths(_type: Any, tokens: Sequence[Token]) -> list[Path]:
    """As given; a file that is called "-" is "./-", which a path alone does not keep."""
    paths: list[Path] = []
    for token in tokens:
        text, path = token.value, Path(token.value)
        if text.startswith("-") and path != _STDIN and not os.path.lexists(path):
            raise ValueError(f"there is neither an option nor a file {text!r}")
        paths.append(path.absolute() if path == _STDIN and text != "-" else path)
    return paths


def stage(
    files: Annotated[
        list[Path],
        Parameter(name="FILE", consume_multiple=True, converter=_paths, allow_leading_hyphen=True),
    ],
    /,
    *,
    name: Annotated[str | None, Parameter(metavar="NAME")] = None,
    ttl: Seconds | None = None,
    persist: bool = False,
    content_type: Annotated[str | None, Parameter(metavar="TYPE")] = None,
    verify: bool = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Stage files; the parameters as `stage --help` shows them.

    Parameters
    ----------
    files
        What to stage; only regular files, or - for what comes on stdin.
    name
        What to call it, if there is one FILE; the file's own name otherwise, or stdin.
    ttl
        How long to keep it: seconds, 90m, 12h, 7d or inf; 24h, unless the settings say otherwise.
    persist
        Keep it until it is removed by hand.
    content_type
        Its media type, if it should not be guessed.
    verify
        Read it again even if it looks unchanged since it was last staged.
    """
    if name is not None and len(files) != 1:
        raise UsageError("--name names one file: give one FILE, or leave --name out")
    if files.count(_STDIN) > 1:
        raise UsageError("- is what comes on stdin, and that comes once")
    if _STDIN in files and sys.stdin is None:
        raise UsageError("- is what comes on stdin, and stdin is closed")
    settings = common.load()

    def message(file: str) -> Stage:
        absolute = Path(file).absolute()
        path = path_for_others(absolute)
        return Stage(
            path=path,
            # What was found behind a name of this process's own is called by that all the same.
            name=name if name is not None or path == str(absolute) else absolute.name,
            ttl=math.inf if persist and ttl is None else ttl,
            persist=persist,
            content_type=content_type,
            verify=verify,
        )

    async def work(session: Session) -> tuple[list[Document], list[Failure]]:
        async def one(file: str) -> Document:
            if file == str(_STDIN):
                return await _stage_stdin(session, settings, message(file))
            answer = await session.request(message(file))
            attachment: Document = answer["attachment"]
            return attachment

        with status(f"staging {files[0]}" if len(files) == 1 else f"staging {len(files)} files"):
            return await each([str(file) for file in files], one)

    staged, failures = with_session(settings, work)
    if common.as_json:
        print_json({"attachments": staged, "errors": documents(failures)})
    elif staged:
        print_attachments(staged)
    report(failures)
    return exit_code(staged, failures)


async def _stage_stdin(session: Session, settings: Settings, message: Stage) -> Document:
    """Stage what comes on stdin, in this process, also where a supervisor runs.

    A line of the socket is no place for gigabytes, and a copy for the supervisor to read would have
    to be written, and be left behind by a `kill -9`. Several processes may work on one staging
    directory, so this one reads its stdin into it: nothing is held in memory, and what a killed one
    leaves there is removed by the next.
    """
    hello = await session.request(Hello(), timeout=PATIENCE)
    config = attrs.evolve(settings.files_config(), staging_dir=hello["staging_dir"])
    async with open_files(config) as tree:
        attachment = await tree.stage(
            _read_stdin(),
            name=message.name or "stdin",
            ttl=message.ttl,
            persist=message.persist,
            content_type=message.content_type,
            verify=message.verify,
        )
    return attachment.to_dict()


async def _read_stdin() -> AsyncGenerator[bytes]:
    """Read in a thread, which is left behind when it waits for somebody at a terminal."""
    descriptor = sys.stdin.fileno()
    while data := await trio.to_thread.run_sync(
        os.read, descriptor, _CHUNK, abandon_on_cancel=True
    ):
        yield data
