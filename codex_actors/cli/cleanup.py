"""The verb `cleanup`: remove what has expired, now."""

from typing import Annotated

from cyclopts import Parameter

from codex_actors.cli.common import NO_OPTIONS, Common, nothing_staged, with_files
from codex_actors.cli.errors import print_error
from codex_actors.cli.output import human_bytes, print_attachments, print_json
from codex_actors.files import CleanupReport, Files


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

    async def work(tree: Files) -> CleanupReport:
        return await tree.force_cleanup(dry_run=dry_run)

    settings = common.load()
    report = CleanupReport() if nothing_staged(settings) else with_files(settings, work)
    if common.as_json:
        print_json({"dry_run": dry_run, **report.to_dict()})
    else:
        print_attachments(report.attachments, "nothing has expired")
        if report.count:
            verb = "would free" if dry_run else "freed"
            print(f"{verb} {human_bytes(report.bytes)} in {report.count}")  # noqa: T201 - output
    for attachment in report.failed:
        print_error(f"{attachment.path} could not be deleted; the next cleanup tries again")
    return 1 if report.failed else 0
