"""The verb `reset`: remove everything that is staged."""

from codex_actors.cli.asking import ask_files
from codex_actors.cli.attachments import complain, print_removed
from codex_actors.cli.common import NO_OPTIONS, Common, Yes, confirm
from codex_actors.cli.output import notice, print_json
from codex_actors.cli.session import PATIENCE, with_session
from codex_actors.cli.settings import Settings
from codex_actors.cli.units import human_bytes
from codex_actors.control.messages import Hello, Metrics, Reset
from codex_actors.control.session import Session
from codex_actors.files import CleanupReport


def reset(*, force: bool = False, yes: Yes = False, common: Common = NO_OPTIONS) -> int:
    """Remove everything; the parameters as `reset --help` shows them.

    Parameters
    ----------
    force
        Also what is in use, by a turn or an upload.
    """
    settings = common.load()
    if not yes and not confirm(_question(settings), yes=False):
        notice("nothing was removed")
        return 1
    answer = ask_files(settings, Reset(force=force), empty=CleanupReport().to_dict())
    if common.as_json:
        print_json(answer)
    else:
        print_removed(answer, "freed", "nothing is staged")
    return complain(answer, "the next reset tries again")


def _question(settings: Settings) -> str:
    """Say how much would go, and from where."""

    async def look(session: Session) -> tuple[int, int, str]:
        hello = await session.request(Hello(), timeout=PATIENCE)
        metrics = (await session.request(Metrics(), timeout=PATIENCE))["metrics"]
        return metrics["total_count"], metrics["total_bytes"], hello["staging_dir"]

    nothing = (0, 0, str(settings.staging_dir))
    count, size, where = with_session(settings, look, empty=nothing)
    what = "1 attachment" if count == 1 else f"all {count} attachments"
    return f"Remove {what} ({human_bytes(size)}) from {where}?"
