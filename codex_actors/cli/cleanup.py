"""The verb `cleanup`: remove what has expired, now."""

from typing import Annotated, Any

from cyclopts import Parameter

from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.errors import print_error
from codex_actors.cli.many import ALL, SOME
from codex_actors.cli.output import human_bytes, print_attachments, print_json
from codex_actors.cli.session import with_session
from codex_actors.control.messages import Cleanup
from codex_actors.control.session import Session
from codex_actors.files import CleanupReport
from codex_actors.files.model import attachment_from_dict


def cleanup(
    *,
    dry_run: Annotated[bool, Parameter(name=("--dry-run", "-n"))] = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Remove what has expired; the parameters as `cleanup --help` shows them.

    Parameters
    ----------
    dry_run
        Only show what would go.
    """

    async def work(session: Session) -> dict[str, Any]:
        return await session.request(Cleanup(dry_run=dry_run))

    nothing = {"dry_run": dry_run, **CleanupReport().to_dict()}
    answer = with_session(common.load(), work, empty=nothing)
    if common.as_json:
        print_json(answer)
    else:
        verb = "would free" if dry_run else "freed"
        print_removed(answer, verb, "nothing has expired")
    return complain(answer, "the next cleanup tries again")


def print_removed(answer: dict[str, Any], verb: str, empty: str) -> None:
    """Print what went, and what that amounts to.

    Args:
        answer: the document of a `CleanupReport`.
        verb: for the amount.
        empty: what to say when nothing went.
    """
    print_attachments(map(attachment_from_dict, answer["attachments"]), empty)
    if answer["count"]:
        print(f"{verb} {human_bytes(answer['bytes'])} in {answer['count']}")  # noqa: T201 - output


def complain(answer: dict[str, Any], way_out: str) -> int:
    """Print what could not be deleted; return the exit code that says so."""
    for attachment in answer["failed"]:
        print_error(f"{attachment['path']} could not be deleted; {way_out}")
    return SOME if answer["failed"] else ALL
