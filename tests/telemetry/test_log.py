"""The log: which events are worth a line, and what it says."""

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from codex_actors import ChildSpec, RestartIntensityExceeded, SupervisorSpec, open_supervisor
from codex_actors.files import FilesConfig, SourceNotFound, open_files
from codex_actors.telemetry.levels import Level
from codex_actors.telemetry.lines import LogFormat
from codex_actors.telemetry.log import Log


class _Lines:
    """A log into a list."""

    def __init__(self, level: Level = Level.INFO, form: LogFormat = "json") -> None:
        self.lines: list[str] = []
        self.log = Log(self.lines.append, form=form, level=level, clock=lambda: 0.0)

    def documents(self) -> list[dict[str, Any]]:
        """What JSON says."""
        return [json.loads(line) for line in self.lines]

    def told(self) -> list[tuple[str, str]]:
        """Which events, at which level."""
        return [(each["level"], each["event"]) for each in self.documents()]


async def _crash() -> None:
    await trio.lowlevel.checkpoint()
    raise ValueError("it broke")


async def test_a_crash_is_an_error_with_its_traceback() -> None:
    """What needs a person is told at the usual level, the ordinary life is not."""
    lines = _Lines()
    spec = SupervisorSpec([ChildSpec("worker", _crash)], max_restarts=1)

    with pytest.raises(RestartIntensityExceeded):
        async with open_supervisor(spec, on_event=[lines.log.tree_event]):
            await trio.sleep_forever()

    assert lines.told() == [
        ("error", "child_exited"),
        ("warning", "child_restarting"),
        ("info", "child_started"),
        ("error", "child_exited"),
        ("error", "restart_intensity_reached"),
        ("info", "supervisor_stopping"),
    ]
    crash = lines.documents()[0]
    assert crash["path"] == "worker"
    assert "in _crash" in crash["traceback"]


async def test_a_quiet_log_shows_errors_only() -> None:
    """The level is a floor, for events and for what the program says itself."""
    lines = _Lines(Level.ERROR)
    spec = SupervisorSpec([ChildSpec("worker", _crash)], max_restarts=0)

    lines.log.say(Level.WARNING, "warned", "not so bad")
    with pytest.raises(RestartIntensityExceeded):
        async with open_supervisor(spec, on_event=[lines.log.tree_event]):
            await trio.sleep_forever()

    assert {level for level, _event in lines.told()} == {"error"}


async def test_what_happens_to_files(tmp_path: Path) -> None:
    """A staging is an information, a failure a warning; an empty sweep is for debugging."""
    lines = _Lines()
    config = FilesConfig(staging_dir=tmp_path / "staging")

    async with open_files(config, on_event=[lines.log.file_event]) as files:
        await files.stage(b"x", name="a.txt")
        with pytest.raises(SourceNotFound):
            await files.stage(tmp_path / "missing")
        await files.force_cleanup()

    assert lines.told() == [
        ("info", "codex.attachment.staged"),
        ("warning", "codex.attachment.failed"),
    ]
    assert lines.documents()[0]["name"] == "a.txt"


def test_text_says_the_same() -> None:
    """A line for people has the message and no fields."""
    lines = _Lines(form="text")

    lines.log.say(Level.INFO, "ready", "it is ready", pid=7)

    assert lines.lines == ["1970-01-01T00:00:00.000Z info    it is ready\n"]
