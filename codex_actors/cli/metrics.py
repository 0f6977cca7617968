"""The verb `metrics`: what the staging directory holds."""

from codex_actors.cli.common import NO_OPTIONS, Common, nothing_staged, with_files
from codex_actors.cli.output import human_bytes, print_json, print_table
from codex_actors.files import Files, Metrics


def metrics(*, common: Common = NO_OPTIONS) -> int:
    """Show counts and sizes."""

    async def work(tree: Files) -> Metrics:
        return await tree.metrics()

    settings = common.load()
    found = Metrics() if nothing_staged(settings) else with_files(settings, work)
    figures = found.to_dict()
    if common.as_json:
        print_json({"metrics": figures})
        return 0
    print_table(
        ("METRIC", ">VALUE"),
        [
            (name.replace("_", " "), human_bytes(value) if name.endswith("bytes") else f"{value:,}")
            for name, value in figures.items()
        ],
        "",
    )
    return 0
