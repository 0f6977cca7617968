"""Owns the one line on stdout that says that the process is ready, and who it is.

Invariant: pure; one line, of text or of JSON. Knows no descriptor.
"""

import json
from pathlib import Path

from attrs import asdict, frozen

from codex_actors.telemetry.text import one_line

__all__ = ["Ready"]

SCHEMA = 1


@frozen(kw_only=True)
class Ready:
    """Who is ready.

    Attributes:
        pid: The process.
        version: Of this package.
        trees: What it runs.
        staging_dir: Where the files are, None without them.
        socket: Where it can be asked.
    """

    pid: int
    version: str
    trees: tuple[str, ...]
    staging_dir: Path | None
    socket: Path

    @property
    def status(self) -> str:
        """What a service manager shows."""
        return f"running {', '.join(self.trees)}"

    def as_text(self) -> str:
        """Return the line for people."""
        where = "" if self.staging_dir is None else f", files in {self.staging_dir}"
        line = f"ready: {', '.join(self.trees)} (pid {self.pid}, socket {self.socket}{where})"
        return one_line(line) + "\n"

    def as_json(self) -> str:
        """Return the line for programs."""
        facts = asdict(self)
        facts["socket"] = str(self.socket)
        facts["staging_dir"] = None if self.staging_dir is None else str(self.staging_dir)
        return json.dumps({"schema": SCHEMA, "event": "ready", **facts}) + "\n"
