"""The verb `verify`: read everything that is staged again."""

from typing import Any

from codex_actors.cli.asking import ask_files
from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.errors import print_error
from codex_actors.cli.output import notice, print_json, status
from codex_actors.control.messages import Verify
from codex_actors.files import VerifyReport


def verify(*, common: Common = NO_OPTIONS) -> int:
    """Read everything again."""
    settings = common.load()
    with status("reading everything that is staged"):
        answer = ask_files(settings, Verify(), empty=VerifyReport().to_dict())
    if common.as_json:
        print_json(answer)
    else:
        _print(answer)
    for attachment in answer["wrong"]:
        print_error(
            f"{attachment['name']!r} ({attachment['checksum']}) holds other bytes than were staged,"
            " or is gone: stage it again"
        )
    for path in answer["quarantined"]:
        print_error(f"what it holds now lies in {path}")
    adopted = set(answer["unknown"]) - set(answer["quarantined"])
    for path in sorted(adopted):
        notice(f"{path} was not known and is listed now")
    return 1 if answer["wrong"] or answer["quarantined"] else 0


def _print(answer: dict[str, Any]) -> None:
    checked, wrong = answer["checked"], len(answer["wrong"])
    what = "1 attachment was" if checked == 1 else f"{checked} attachments were"
    print(f"{what} read, {wrong or 'none'} of them wrong")  # noqa: T201 - output
