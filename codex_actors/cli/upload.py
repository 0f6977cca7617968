"""The verb `upload`: send files to where codex or a model finds them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from attrs import evolve
from cyclopts import Parameter, Token

from codex_actors.cli.common import NO_OPTIONS, Common, Seconds
from codex_actors.cli.destination import destination
from codex_actors.cli.errors import UsageError
from codex_actors.cli.many import Failure, documents, each, exit_code, report
from codex_actors.cli.output import notice, print_json
from codex_actors.cli.paths import path_for_others
from codex_actors.cli.session import with_session
from codex_actors.cli.tables import print_table
from codex_actors.cli.units import human_bytes, parse_bytes
from codex_actors.cli.upload_display import Display, open_display
from codex_actors.control.errors import NotFound, RequestFailed
from codex_actors.control.messages import Upload
from codex_actors.control.session import Session
from codex_actors.files import InvalidConfig, Retry

Document = dict[str, Any]


def _bytes(_type: Any, tokens: Sequence[Token]) -> int:
    text = tokens[0].value
    try:
        size = parse_bytes(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a size: {error}") from None
    if size is None:
        raise ValueError(f"{text!r} is no size of a part: give bytes, 500K or 10MiB")
    return size


Bytes = Annotated[int, Parameter(converter=_bytes, metavar="SIZE")]
Text = Annotated[str, Parameter(metavar="TEXT")]
Count = Annotated[int, Parameter(metavar="COUNT")]


def upload(
    files: Annotated[list[str], Parameter(name="FILE", consume_multiple=True)],
    /,
    *,
    to: Annotated[str, Parameter(metavar="TARGET")] = "openai",
    name: Annotated[str | None, Parameter(metavar="NAME")] = None,
    content_type: Annotated[str | None, Parameter(metavar="TYPE")] = None,
    verify: bool = False,
    detach: bool = False,
    attempts: Count | None = None,
    timeout: Seconds | None = None,
    base_url: Annotated[str | None, Parameter(metavar="URL")] = None,
    purpose: Text | None = None,
    expires_after: Seconds | None = None,
    part_size: Bytes | None = None,
    parallel: Count | None = None,
    organization: Text | None = None,
    project: Text | None = None,
    account_id: Text | None = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Upload; the parameters as `upload --help` shows them.

    Parameters
    ----------
    files
        Files, or what is staged: a name, a checksum or at least 4 digits of it.
    to
        openai, codex, directory:PATH, or a path with a slash. [default: openai]
    name
        What to call it there, if there is one FILE that is not staged.
    content_type
        Its media type, if it should not be guessed.
    verify
        Read what is staged again even if it looks unchanged.
    detach
        Do not wait: a supervisor goes on with it, and status shows it.
    attempts
        How often each request is tried. [default: 5]
    timeout
        How long each upload may take: seconds, 90s, 5m; no limit otherwise.
    base_url
        Where the API is. [default: OPENAI_BASE_URL, or the API's own]
    purpose
        openai: what the file is for. [default: user_data]
    expires_after
        openai: how long it is kept there, 1h to 30d; for ever otherwise.
    part_size
        openai: how much goes in one request, 1MiB to 64MiB. [default: 64MiB]
    parallel
        openai: how many parts go at a time. [default: 4]
    organization
        openai: who pays. [default: OPENAI_ORG_ID]
    project
        openai: what it belongs to. [default: OPENAI_PROJECT_ID]
    account_id
        codex: whose it is. [default: CODEX_ACCOUNT_ID]
    """
    if name is not None and len(files) != 1:
        raise UsageError("--name names one file: give one FILE, or leave --name out")
    staged = [file for file in files if not os.path.lexists(file)]
    if staged and not (name is None and content_type is None):
        raise UsageError(f"there is no file {staged[0]!r}: what is staged has its name and type")
    options = {
        "base_url": base_url,
        "purpose": purpose,
        "expires_after": None if expires_after is None else _whole(expires_after),
        "part_size": part_size,
        "parallel": parallel,
        "organization": organization,
        "project": project,
        "account_id": account_id,
    }
    _check_retry(attempts, timeout)
    template = Upload(
        path="/",
        name=name,
        content_type=content_type,
        target=destination(to, options, os.environ),
        attempts=attempts,
        timeout=timeout,
        verify="full" if verify else "quick",
        detach=detach,
    )

    async def work(session: Session) -> tuple[list[Document], list[Failure]]:
        with open_display() as display:

            async def one(what: str) -> Document:
                return await _upload(session, what, _message(template, what), display)

            return await each(files, one)

    done, failures = with_session(common.load(), work)
    if detach:
        _print_detached(done, failures, as_json=common.as_json)
    else:
        _print_uploaded(done, failures, as_json=common.as_json)
    report(failures)
    return exit_code(done, failures)


def _whole(seconds: float) -> int:
    if not seconds.is_integer():
        raise UsageError(f"--expires-after {seconds:g}: give whole seconds, from 1h to 30d")
    return int(seconds)


def _check_retry(attempts: int | None, timeout: float | None) -> None:
    """Refuse here what a supervisor would refuse."""
    try:
        Retry(attempts=1 if attempts is None else attempts, deadline=timeout)
    except InvalidConfig as error:
        option = "--timeout" if "deadline" in str(error) else "--attempts"
        raise UsageError(f"{option}: {str(error).partition(': ')[2]}") from None


def _message(template: Upload, what: str) -> Upload:
    """A file that is there is meant, else what is staged under that name."""
    if os.path.lexists(what):
        absolute = Path(what).absolute()
        path = path_for_others(absolute)
        name = template.name if path == str(absolute) else template.name or absolute.name
        return evolve(template, path=path, name=name)
    return evolve(template, path=None, what=what)


async def _upload(session: Session, what: str, message: Upload, display: Display) -> Document:
    if message.detach:
        return await _ask(session, message)
    shown = display.begin(what)
    try:
        answer = await _ask(session, message, shown.note)
    except Exception:
        shown.end("failed")
        raise
    except BaseException:
        shown.end("given up")
        raise
    file: Document = answer["file"]
    shown.end(f"done, {file['file_id']}")
    return file


async def _ask(session: Session, message: Upload, on_note: Any = None) -> Document:
    try:
        return await session.request(message, on_note=on_note)
    except RequestFailed as error:
        if message.what is None or error.kind != NotFound.__name__:
            raise
        raise NotFound(f"there is no file {message.what!r}, and {error.message}") from None


def _print_uploaded(done: list[Document], failures: list[Failure], *, as_json: bool) -> None:
    if as_json:
        print_json({"uploads": done, "errors": documents(failures)})
    elif done:
        print_table(
            ("NAME", ">SIZE", "TARGET", "FILE ID", "WAS THERE"),
            [
                (
                    file["name"],
                    human_bytes(file["size"]),
                    file["target"],
                    file["file_id"],
                    "yes" if file["cached"] else "no",
                )
                for file in done
            ],
        )


def _print_detached(done: list[Document], failures: list[Failure], *, as_json: bool) -> None:
    if as_json:
        print_json({"operations": done, "errors": documents(failures)})
    elif done:
        rows = [(each["what"], str(each["operation"])) for each in done]
        print_table(("NAME", ">OPERATION"), rows)
        notice("`status` shows how far they are, `cancel OPERATION` gives one up")
