"""The verb `version`: what runs here."""

import platform
import sqlite3
from importlib import metadata

from codex_actors.cli.common import NO_OPTIONS, Common
from codex_actors.cli.executable import CodexUnusable, codex_executable, codex_version
from codex_actors.cli.output import print_json
from codex_actors.cli.tables import print_table
from codex_actors.codex import CodexNotFound


def version(*, common: Common = NO_OPTIONS) -> int:
    """Show versions."""
    settings = common.load()
    versions = {
        "codex-actors": metadata.version("codex-actors"),
        "python": platform.python_version(),
        "trio": metadata.version("trio"),
        "sqlite": sqlite3.sqlite_version,
    }
    codex: dict[str, str | None] = {"version": None, "path": None, "problem": None}
    try:
        codex["path"] = str(path := codex_executable(settings))
        codex["version"] = codex_version(path)
    except (CodexNotFound, CodexUnusable) as error:
        codex["problem"] = str(error)
    if common.as_json:
        print_json({"versions": versions, "codex": codex})
        return 0
    rows = [*versions.items(), ("codex", codex["version"] or f"none: {codex['problem']}")]
    print_table(("PROGRAM", "VERSION"), rows)
    return 0
