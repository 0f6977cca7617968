"""The verb `metrics`: what the staging directory holds."""

from codex_actors.cli.common import AsJson, StagingDir, with_files
from codex_actors.cli.output import human_bytes, print_json, print_table
from codex_actors.files import Files, Metrics


def metrics(*, staging_dir: StagingDir = None, as_json: AsJson = False) -> int:
    """Show counts and sizes."""

    async def work(tree: Files) -> Metrics:
        return await tree.metrics()

    figures = with_files(staging_dir, work).to_dict()
    if as_json:
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
