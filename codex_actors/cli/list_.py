"""The verb `list`: what is staged."""

from typing import Any

from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.output import print_attachments, print_json
from codex_actors.cli.session import with_session
from codex_actors.control.messages import ListStaged
from codex_actors.control.session import Session
from codex_actors.files.model import attachment_from_dict


def list_(*, common: Common = NO_OPTIONS) -> int:
    """List what is staged."""

    async def work(session: Session) -> dict[str, Any]:
        return await session.request(ListStaged())

    nothing: dict[str, Any] = {"attachments": []}
    answer = with_session(common.load(), work, empty=nothing)
    if common.as_json:
        print_json(answer)
    else:
        print_attachments(map(attachment_from_dict, answer["attachments"]), "nothing is staged")
    return 0
