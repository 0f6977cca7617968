"""Printing what comes while it comes: what is read too slowly is counted, and stops nobody."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from codex_actors.cli.following import follow, write_out
from codex_actors.control.errors import Unreachable
from codex_actors.control.messages import Events, Request
from codex_actors.control.session import Notify

_REQUEST = Events(follow=True)


class _Chatty:
    """A session that tells at once what it has to tell, then answers or goes."""

    def __init__(self, notes: int, error: Exception | None = None) -> None:
        self._notes = notes
        self._error = error

    async def request(
        self, request: Request, *, on_note: Notify | None = None, timeout: float = 0
    ) -> dict[str, Any]:
        """See `Session.request`."""
        assert on_note is not None
        await trio.lowlevel.checkpoint()
        for number in range(self._notes):
            on_note({"seq": number})
        if self._error is not None:
            raise self._error
        return {"state": "draining"}


def _form(note: dict[str, Any]) -> str:
    return json.dumps(note) + "\n"


async def test_all_of_it_is_written_before_the_answer(capfd: pytest.CaptureFixture[str]) -> None:
    """In order, then the answer is returned."""
    answer = await follow(_Chatty(500), _REQUEST, _form)

    lines = capfd.readouterr().out.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(500))
    assert answer == {"state": "draining"}


async def test_what_is_too_much_is_counted(capfd: pytest.CaptureFixture[str]) -> None:
    """The oldest give way, and the first that is left says how many they were."""
    await follow(_Chatty(10_500), _REQUEST, _form)

    first, *rest = map(json.loads, capfd.readouterr().out.splitlines())
    assert first == {"seq": 500, "missed": 500}
    assert len(rest) == 9_999
    assert rest[0] == {"seq": 501}


async def test_an_error_comes_after_what_was_told(capfd: pytest.CaptureFixture[str]) -> None:
    """As it is, out of no group."""
    with pytest.raises(Unreachable, match="gone"):
        await follow(_Chatty(3, Unreachable("gone")), _REQUEST, _form)

    assert len(capfd.readouterr().out.splitlines()) == 3


async def test_a_pipe_that_nobody_reads_stops_only_the_writing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The event loop goes on, so that a signal can end it."""
    reader, writer = os.pipe()
    with open(writer, "w", encoding="utf-8") as pipe, open(reader, "rb"):  # noqa: ASYNC230, PTH123
        monkeypatch.setattr(sys, "stdout", pipe)

        with trio.move_on_after(0.1) as patience:
            await write_out("x" * 1_000_000)

        assert patience.cancelled_caught


async def test_a_file_is_always_ready(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It cannot be waited for, and need not be."""
    path = tmp_path / "out"
    with path.open("w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdout", file)
        await write_out("ä" * 100_000)

    assert path.read_text(encoding="utf-8") == "ä" * 100_000
