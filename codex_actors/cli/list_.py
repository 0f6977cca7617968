"""The verb `list`: what is staged."""

from codex_actors.cli.common import NO_OPTIONS, Common, nothing_staged, with_files
from codex_actors.cli.output import print_attachments, print_json
from codex_actors.files import Attachment, Files


def list_(*, common: Common = NO_OPTIONS) -> int:
    """List what is staged."""

    async def work(tree: Files) -> tuple[Attachment, ...]:
        return tuple(await tree.list_staged())

    settings = common.load()
    attachments = () if nothing_staged(settings) else with_files(settings, work)
    if common.as_json:
        print_json({"attachments": [each.to_dict() for each in attachments]})
    else:
        print_attachments(attachments, "nothing is staged")
    return 0
