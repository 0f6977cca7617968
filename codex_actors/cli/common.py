"""What all verbs share: their common options, and how they run against the files."""

import math
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import trio
from cyclopts import Parameter, Token

from codex_actors.files import Files, FilesConfig, open_files

T = TypeVar("T")


def _seconds(_type: Any, tokens: Sequence[Token]) -> float:
    """A time on the command line: seconds, or a number with s, m, h or d, or "inf"."""
    text = tokens[0].value
    scale = {"s": 1, "m": 60, "h": 3600, "d": 86_400}.get(text[-1:].lower())
    try:
        value = float(text[:-1]) * scale if scale is not None else float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise ValueError(f"{text!r} is not a time: give seconds, 90m, 12h, 7d or inf")
    return value


Seconds = Annotated[float, Parameter(converter=_seconds, allow_leading_hyphen=True)]
StagingDir = Annotated[
    Path | None,
    Parameter(
        name="--staging-dir",
        env_var="CODEX_ACTORS_STAGING_DIR",
        help="Where staged files are kept. [default: _build/codex_files]",
    ),
]
AsJson = Annotated[
    bool, Parameter(name="--json", negative="", help="Print one JSON document for programs.")
]


def with_files(staging_dir: Path | None, work: Callable[[Files], Awaitable[T]]) -> T:
    """Open the files tree, do the work, close the tree; blocks."""

    async def main() -> T:
        async with open_files(FilesConfig(staging_dir=staging_dir)) as files:
            return await work(files)

    return trio.run(main)
