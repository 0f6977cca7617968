"""The verb `stage`: copy files into the staging directory."""

import math
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from codex_actors.cli.common import NO_OPTIONS, Common, Seconds, with_files
from codex_actors.cli.errors import UsageError, visible
from codex_actors.cli.output import print_attachments, print_failure, print_json, status
from codex_actors.files import Attachment, Files, FilesError


def stage(
    files: Annotated[list[Path], Parameter(name="FILE", consume_multiple=True)],
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
        What to stage; only regular files.
    name
        What to call it, if there is one FILE; the file's own name otherwise.
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
    staged: list[Attachment] = []
    errors: list[str] = []

    async def work(tree: Files) -> None:
        for path in files:
            with status(f"staging {visible(str(path))}"):
                try:
                    attachment = await tree.stage(
                        path,
                        name=name,
                        ttl=math.inf if persist and ttl is None else ttl,
                        persist=persist,
                        content_type=content_type,
                        verify=verify,
                    )
                except FilesError as error:
                    errors.append(str(error))
                    print_failure(error)
                else:
                    staged.append(attachment)

    with_files(common.load(), work)
    if common.as_json:
        print_json({"attachments": [each.to_dict() for each in staged], "errors": errors})
    elif staged:
        print_attachments(staged, "")
    return 1 if errors else 0
