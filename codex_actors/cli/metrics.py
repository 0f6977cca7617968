"""The verb `metrics`: what the staging directory holds, and what is under way."""

from typing import Any

from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.output import human_bytes, print_json, print_table
from codex_actors.cli.session import with_session
from codex_actors.control.messages import Metrics
from codex_actors.control.session import Session
from codex_actors.files import Metrics as Figures


def metrics(*, common: Common = NO_OPTIONS) -> int:
    """Show counts and sizes."""

    async def work(session: Session) -> dict[str, Any]:
        return await session.request(Metrics())

    answer = with_session(common.load(), work, empty={"metrics": Figures().to_dict()})
    if common.as_json:
        print_json(answer)
        return 0
    print_table(
        ("METRIC", ">VALUE"),
        [
            (name.replace("_", " "), human_bytes(value) if name.endswith("bytes") else f"{value:,}")
            for name, value in answer["metrics"].items()
        ],
        "",
    )
    return 0
