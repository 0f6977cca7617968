"""The verb `metrics`: what the staging directory holds, and what is under way."""

from codex_actors.cli.asking import ask_files
from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.output import print_json
from codex_actors.cli.tables import print_table
from codex_actors.cli.units import human_bytes
from codex_actors.control.messages import Metrics
from codex_actors.files import Metrics as Figures


def metrics(*, common: Common = NO_OPTIONS) -> int:
    """Show counts and sizes."""
    answer = ask_files(common.load(), Metrics(), empty={"metrics": Figures().to_dict()})
    if common.as_json:
        print_json(answer)
        return 0
    print_table(
        ("METRIC", ">VALUE"),
        [
            (name.replace("_", " "), human_bytes(value) if name.endswith("bytes") else f"{value:,}")
            for name, value in answer["metrics"].items()
        ],
    )
    return 0
