"""The verb `list`: what is staged."""

from codex_actors.cli.asking import ask_files
from codex_actors.cli.attachments import print_attachments
from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.output import print_json
from codex_actors.control.messages import ListStaged


def list_(*, common: Common = NO_OPTIONS) -> int:
    """List what is staged."""
    answer = ask_files(common.load(), ListStaged(), empty={"attachments": []})
    if common.as_json:
        print_json(answer)
    else:
        print_attachments(answer["attachments"], "nothing is staged")
    return 0
