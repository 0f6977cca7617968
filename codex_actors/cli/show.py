"""The verb `show`: one attachment."""

from typing import Annotated, Any

from cyclopts import Parameter

from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.output import expiry, human_bytes, print_json, print_table
from codex_actors.cli.session import with_session
from codex_actors.control.choosing import not_found
from codex_actors.control.messages import Show
from codex_actors.control.session import Session
from codex_actors.files import Attachment
from codex_actors.files.model import attachment_from_dict


def show(what: Annotated[str, Parameter(name="WHAT")], /, *, common: Common = NO_OPTIONS) -> int:
    """Show one; the parameters as `show --help` shows them.

    Parameters
    ----------
    what
        Its name, its checksum or at least 4 digits of it, or CHECKSUM/NAME.
    """

    async def work(session: Session) -> dict[str, Any]:
        return await session.request(Show(what=what))

    nothing: dict[str, Any] = {}
    answer = with_session(common.load(), work, empty=nothing)
    if not answer:
        raise not_found(what)
    if common.as_json:
        print_json(answer)
    else:
        _print(attachment_from_dict(answer["attachment"]))
    return 0


def _print(attachment: Attachment) -> None:
    print_table(
        ("ATTACHMENT", attachment.name),
        [
            ("size", f"{attachment.size:,} bytes ({human_bytes(attachment.size)})"),
            ("type", attachment.content_type),
            (attachment.algorithm, attachment.checksum),
            ("staged", f"{attachment.inserted_at:%Y-%m-%d %H:%M:%S} UTC"),
            ("expires", expiry(attachment)),
            ("path", str(attachment.path)),
        ],
        "",
    )
