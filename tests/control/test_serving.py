"""The supervision of the control server."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from codex_actors.control.claim import claim_address
from codex_actors.control.client import open_client
from codex_actors.control.errors import NotRunning
from codex_actors.control.messages import Hello
from codex_actors.control.process.serving import serve_supervised
from codex_actors.telemetry.log import Log


class _Faulty:
    """A listener with a defect, for the first so many times."""

    def __init__(self, listener: trio.SocketListener, defects: int) -> None:
        self._listener = listener
        self._defects = defects

    async def accept(self) -> trio.SocketStream:
        """Let a client in, or fail."""
        await trio.lowlevel.checkpoint()
        if self._defects:
            self._defects -= 1
            raise ArithmeticError("no such number")
        return await self._listener.accept()


async def _answer(_method: str, _params: object, _notify: object) -> dict[str, Any]:
    await trio.lowlevel.checkpoint()
    return {"state": "running"}


async def test_a_server_that_crashes_is_started_again(tmp_path: Path) -> None:
    """Clients are served by its next life, at the same socket."""
    lines: list[str] = []
    log = Log(lines.append, form="json")
    with claim_address(tmp_path / "s") as listener:
        faulty = cast("trio.SocketListener", _Faulty(listener, 2))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_supervised, faulty, _answer, log)
            with trio.fail_after(60):
                async with open_client(tmp_path / "s") as client:
                    hello = await client.request(Hello())
            nursery.cancel_scope.cancel()

    assert hello == {"state": "running"}
    told = [json.loads(line) for line in lines]
    assert {each["path"] for each in told} == {"(control)/server"}
    assert sum(each["event"] == "child_restarting" for each in told) == 2


async def test_a_closed_listener_is_the_end(tmp_path: Path) -> None:
    """Nobody else is let in; what was asked is answered, and then the server is done."""
    lines: list[str] = []
    asked, may_answer = trio.Event(), trio.Event()

    async def answer(_method: str, _params: object, _notify: object) -> dict[str, Any]:
        asked.set()
        await may_answer.wait()
        return {"state": "stopping"}

    with claim_address(tmp_path / "s") as listener, trio.fail_after(60):
        async with open_client(tmp_path / "s") as client, trio.open_nursery() as nursery:
            answers: list[dict[str, Any]] = []

            async def ask() -> None:
                answers.append(await client.request(Hello()))

            nursery.start_soon(ask)
            async with trio.open_nursery() as serving:
                log = Log(lines.append, form="json")
                serving.start_soon(serve_supervised, listener, answer, log)
                await asked.wait()
                await listener.aclose()
                with pytest.raises(NotRunning):
                    async with open_client(tmp_path / "s"):
                        pass
                may_answer.set()

    assert answers == [{"state": "stopping"}]
    assert lines == []


async def test_a_server_that_keeps_crashing_is_given_up(tmp_path: Path) -> None:
    """That is told, and nothing more: whoever runs it goes on without."""
    lines: list[str] = []
    log = Log(lines.append, form="json")
    with claim_address(tmp_path / "s") as listener, trio.fail_after(60):
        faulty = cast("trio.SocketListener", _Faulty(listener, 100))

        await serve_supervised(faulty, _answer, log)

    told = [json.loads(line) for line in lines]
    assert [each["event"] for each in told if each["level"] == "error"][-1] == "control_lost"
