"""The verb `list`: what is staged."""

from codex_actors.cli.common import AsJson, StagingDir, with_files
from codex_actors.cli.output import print_attachments, print_json
from codex_actors.files import Attachment, Files


def list_(*, staging_dir: StagingDir = None, as_json: AsJson = False) -> int:
    """List what is staged."""

    async def work(tree: Files) -> tuple[Attachment, ...]:
        return tuple(await tree.list_staged())

    attachments = with_files(staging_dir, work)
    if as_json:
        print_json({"attachments": [each.to_dict() for each in attachments]})
    else:
        print_attachments(attachments, "nothing is staged")
    return 0
