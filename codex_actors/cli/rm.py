"""The verb `rm`: remove attachments by hand."""

from typing import Annotated, Any

from cyclopts import Parameter

from codex_actors.cli.attachments import print_attachments
from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.many import Failure, documents, each, exit_code, report
from codex_actors.cli.output import print_json
from codex_actors.cli.session import with_session
from codex_actors.control.choosing import not_found
from codex_actors.control.messages import Remove
from codex_actors.control.session import Session


def rm(
    whats: Annotated[list[str], Parameter(name="WHAT", consume_multiple=True)],
    /,
    *,
    common: Common = NO_OPTIONS,
) -> int:
    """Remove attachments; the parameters as `rm --help` shows them.

    Parameters
    ----------
    whats
        Names, checksums or at least 4 digits of them, or CHECKSUM/NAME.
    """

    async def work(session: Session) -> tuple[list[dict[str, Any]], list[Failure]]:
        async def one(what: str) -> dict[str, Any]:
            answer = await session.request(Remove(what=what))
            attachment: dict[str, Any] = answer["attachment"]
            return attachment

        return await each(whats, one)

    none: list[dict[str, Any]] = []
    nothing = (none, [Failure(what, not_found(what)) for what in whats])
    removed, failures = with_session(common.load(), work, empty=nothing)
    if common.as_json:
        print_json({"attachments": removed, "errors": documents(failures)})
    elif removed:
        print_attachments(removed)
    report(failures)
    return exit_code(removed, failures)
