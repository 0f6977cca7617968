"""`events -f`: what was, then what comes, until the supervisor goes."""

import signal
from pathlib import Path

from process_support import documents
from supervised_support import supervised


async def test_it_ends_well_with_a_supervisor_that_was_asked_to_end(tmp_path: Path) -> None:
    """People are told so, programs get a document for each event and nothing else."""
    with supervised(tmp_path, "IDLE") as running:
        async with (
            running.going_on("events", "-f") as people,
            running.going_on("events", "-f", "--json", "--kind", "child") as programs,
        ):
            await people.out.until("child_started idle: incarnation 1")
            await programs.out.until("child_started")
            drained = await running.run("drain")
            codes = (await people.wait(), await programs.wait())
            await people.err.until("the supervisor has ended, as it was asked to")

    assert (drained.code, codes) == (0, (0, 0))
    kinds = [event["kind"] for event in documents(programs.out.lines)]
    assert kinds == ["child_started", "child_exited"]
    assert {event["schema"] for event in documents(programs.out.lines)} == {1}
    assert people.out.lines[-1].endswith("supervisor_stopping (root): normal") or (
        "child_exited idle" in people.out.lines[-1]
    )


async def test_ctrl_c_or_the_supervisor_s_death_end_it(tmp_path: Path) -> None:
    """130 as from any verb; 4 and a line when the supervisor is gone. What was told stays told."""
    with supervised(tmp_path, "IDLE") as running:
        async with (
            running.going_on("events", "-f") as interrupted,
            running.going_on("events", "--follow", "--json") as left_alone,
        ):
            await interrupted.out.until("child_started")
            interrupted.process.send_signal(signal.SIGINT)
            code = await interrupted.wait()
            await left_alone.out.until("child_started")
            assert running.process is not None
            running.process.kill()

            assert (code, await left_alone.wait()) == (130, 4)
            assert "has gone" in await left_alone.err.until("codex-actors: ")
