"""Requests for a codex turn, as a supervisor process handles them, with the fake codex."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import trio
from handling_support import open_desk

from codex_actors.codex import CodexError
from codex_actors.control import messages
from codex_actors.control.errors import OperationCancelled, RequestFailed
from codex_actors.testing import CodexFault, FailWith, HangForever, fake_codex

CANARY = "canary-0123456789"


async def test_a_turn_has_its_files_and_its_events_are_told(tmp_path: Path) -> None:
    """In the directory and with the environment of the client; nothing of it stays."""
    codex = fake_codex(tmp_path / "bin", reply="fine", env_names=("OF_THE_CLIENT",))
    (tmp_path / "a.csv").write_text("a,b\n")
    async with open_desk(tmp_path) as desk:
        answer = await desk.ask(
            messages.Exec(
                prompt="a secret question",
                attach=(str(tmp_path / "a.csv"),),
                cwd=str(tmp_path),
                env={"OF_THE_CLIENT": CANARY},
                codex=str(codex.path),
            )
        )

        assert answer["final_message"] == "fine"
        (call,) = codex.calls()
        assert "a.csv" in call.prompt
        assert (call.cwd, call.env) == (tmp_path, {"OF_THE_CLIENT": CANARY})
        assert desk.states() == ["staging", "starting", "running"]
        types = [note["event"]["type"] for note in desk.notes if "event" in note]
        assert types == ["thread.started", "turn.started", "item.completed", "turn.completed"]
        (operation,) = desk.service.operations.ended()
        assert operation.outcome == {"thread_id": answer["thread_id"], "usage": answer["usage"]}
        shown = json.dumps(operation.to_dict()) + json.dumps(desk.service.history.records())
        assert CANARY not in shown
        assert "secret question" not in shown
        assert (await desk.files.metrics()).leases == 0


async def test_a_thread_is_gone_on_with(tmp_path: Path) -> None:
    """As an earlier answer names it."""
    codex = fake_codex(tmp_path / "bin")
    async with open_desk(tmp_path) as desk:
        first = await desk.ask(messages.Exec(prompt="one", codex=str(codex.path)))

        second = await desk.ask(
            messages.Exec(prompt="two", codex=str(codex.path), resume=first["thread_id"])
        )

        assert second["thread_id"] == first["thread_id"]


async def test_a_turn_that_fails_keeps_secrets_of_the_client(tmp_path: Path) -> None:
    """A value of its environment that is named like a secret is not in the error."""
    fault = CodexFault("turn.completed", FailWith(f"bad key {CANARY}"))
    codex = fake_codex(tmp_path / "bin", faults=[fault])
    async with open_desk(tmp_path) as desk:
        with pytest.raises(CodexError) as caught:
            await desk.ask(messages.Exec(prompt="hi", env={"A_KEY": CANARY}, codex=str(codex.path)))

        assert "bad key <A_KEY>" in str(caught.value)
        assert CANARY not in repr(desk.service.operations.ended())


async def test_a_cancelled_turn_ends_its_codex(tmp_path: Path) -> None:
    """Codex is gone and the leases are back when the client is told."""
    codex = fake_codex(tmp_path / "bin", faults=[CodexFault("item.completed", HangForever())])
    (tmp_path / "a.csv").write_text("a,b\n")
    async with open_desk(tmp_path) as desk, trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(OperationCancelled):
                await desk.ask(
                    messages.Exec(
                        prompt="hi", attach=(str(tmp_path / "a.csv"),), codex=str(codex.path)
                    )
                )
            with pytest.raises(ProcessLookupError):
                os.kill(codex.calls()[0].pid, 0)
            assert (await desk.files.metrics()).leases == 0

        nursery.start_soon(ask)
        with trio.fail_after(30):
            while not codex.calls():
                await trio.lowlevel.checkpoint()
        (operation,) = desk.service.operations.running()
        await desk.ask(messages.Cancel(operation=operation.id))


@pytest.mark.parametrize(
    "wrong",
    [
        {"sandbox": "none"},
        {"model": ""},
        {"config": {"a": None}},
        {"config": json.loads('{"a":' * 900 + "1" + "}" * 900)},
    ],
    ids=["sandbox", "model", "value", "depth"],
)
async def test_options_that_make_no_sense_are_refused(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    """Before there is an operation, and as an answer: a client may send anything."""
    async with open_desk(tmp_path) as desk:
        with pytest.raises(RequestFailed) as caught:
            await desk.ask(messages.Exec(prompt="hi", codex="/nobody/codex", **wrong))

        assert caught.value.code == -32602
        assert desk.service.operations.ended() == ()
