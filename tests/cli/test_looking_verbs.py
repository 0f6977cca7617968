"""The verbs that look at a running supervisor: `status`, `ps`, `pstree`, `events`, `dump`."""

from collections.abc import Generator
from typing import Any

import pytest
from cli_support import Done
from supervised_support import Supervised, supervised


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Generator[Supervised]:
    """A command line beside a supervisor whose children have settled."""
    directory = tmp_path_factory.mktemp("looking")
    with supervised(directory, "TREE", until=("ready", "settled")) as running:
        yield running


async def _both(
    beside: Supervised, *arguments: str, then: tuple[tuple[str, ...], ...] = ()
) -> tuple[Done, dict[str, Any], list[Done]]:
    """What people and what programs are shown, and what other commands do then."""
    text, document, *others = await beside.several(arguments, (*arguments, "--json"), *then)
    assert [(done.code, done.err) for done in (text, document)] == [(0, "")] * 2
    assert document.document["schema"] == 1
    return text, document.document, others


async def test_ps(beside: Supervised) -> None:
    """A line for each actor, with what it does and what went wrong."""
    text, document, _ = await _both(beside, "ps")

    head, *lines = text.out.splitlines()
    assert head.split("  ")[0] == "NAME"
    names = [line.split()[0] for line in lines]
    assert names == [
        *("tree", "pool", "pool/guest", "host", "counter", "stubborn", "fickle"),
        *("inner", "inner/deep", "brief", "slow", "crasher"),
    ]
    row = dict(zip(names, lines, strict=True))
    assert row["counter"].split()[1:3] == ["worker", "running"]
    assert "0/1024" in row["counter"]
    assert "3/8" in row["stubborn"]
    assert "Wait " in row["stubborn"]
    assert row["crasher"].endswith(r"crash: ValueError: it broke \x1b[31mbadly")
    actors = {actor["name"]: actor for actor in document["actors"]}
    assert list(actors) == names
    assert (actors["tree"]["path"], actors["tree"]["kind"]) == ("", "supervisor")
    assert (actors["counter"]["handled"], actors["counter"]["restarts"]) == (3, 0)
    assert (actors["stubborn"]["mailbox"], actors["stubborn"]["in_hand"]) == (3, "Wait")
    assert actors["crasher"]["restarts"] == 1
    assert actors["crasher"]["last_error"] == "crash: ValueError: it broke \x1b[31mbadly"


async def test_pstree(beside: Supervised) -> None:
    """The tree as it stands in the documentation; of a part, that part."""
    text, document, _ = await _both(beside, "pstree")

    lines = text.out.splitlines()
    assert lines[0].startswith("tree           running  supervisor, up ")
    assert lines[1].startswith("├── pool       running")
    assert lines[2].startswith("│   └── guest ")
    assert lines[-1].startswith("└── crasher ")
    assert "restarted once" in lines[-1]
    assert document["root"] == "tree"
    assert [child["path"] for child in document["tree"]["children"]][-1] == "crasher"
    part = await beside.run("pstree", "inner", env={"PYTHONIOENCODING": "ascii"})
    assert [line.split()[:2] for line in part.out.splitlines()] == [
        ["inner", "running"],
        ["`--", "deep"],
    ]


async def test_status_of_the_process(beside: Supervised) -> None:
    """Who it is, how it is, what is in it."""
    text, document, _ = await _both(beside, "status")

    assert beside.process is not None
    pid = beside.process.pid
    assert text.out.splitlines()[0].endswith("is running")
    assert f"Pid: {pid}\n" in text.out
    assert "Trees: tree\n" in text.out
    assert f"Socket: {beside.socket}\n" in text.out
    assert "Actors: 12 (12 running), 3 of them supervisors; 1 restarts\n" in text.out
    assert (document["pid"], document["state"]) == (pid, "running")
    assert document["actors"]["states"] == {"running": 12}
    assert document["operations"] == []
    assert document["leaving"] is None
    assert document["uptime"] > 0


async def test_status_of_an_actor(beside: Supervised) -> None:
    """What it does, and what happened to it lately."""
    text, document, _ = await _both(beside, "status", "crasher")

    assert text.out.splitlines()[0].endswith("crasher is a worker, running")
    assert r"Last error: crash: ValueError: it broke \x1b[31mbadly" in text.out
    assert "child_restarting crasher: restart 1 in the window" in text.out
    assert document["actor"]["path"] == "crasher"
    kinds = [event["kind"] for event in document["events"]]
    assert kinds == ["child_started", "child_exited", "child_restarting", "child_started"]


async def test_events(beside: Supervised) -> None:
    """The last of them, by kind or by family."""
    text, document, (none,) = await _both(
        *(beside, "events", "-n", "1", "--kind", "child_exited"),
        then=(("events", "--kind", "codex"),),
    )

    assert text.out.endswith(
        r"child_exited crasher: crash: ValueError: it broke \x1b[31mbadly" "\n"
    )
    (event,) = document["events"]
    assert (event["kind"], event["path"]) == ("child_exited", "crasher")
    assert (none.code, none.out) == (0, "nothing of that kind\n")


async def test_dump(beside: Supervised) -> None:
    """Where each task stands: functions and lines of code, and no value."""
    text, document, (all_tasks,) = await _both(
        beside, "dump", "stubborn", then=(("dump", "--json"),)
    )

    assert text.out.splitlines()[0] == "stubborn"
    assert "supervised_trees.py" in text.out
    assert "in Stubborn.wait\n    await trio.sleep_forever()\n" in text.out
    assert "Wait()" not in text.out
    (task,) = document["tasks"]
    assert (document["path"], task["actor"]) == ("stubborn", "stubborn")
    functions = [frame["function"] for frame in task["frames"]]
    assert "Stubborn.wait" in functions
    whole = all_tasks.document["tasks"]
    actors = [task["actor"] for task in whole if task["actor"]]
    assert actors == [
        *("pool", "pool/guest", "host", "counter", "stubborn", "fickle"),
        *("inner", "inner/deep", "brief", "slow", "crasher"),
    ]
    deep = next(task for task in whole if task["actor"] == "inner/deep")
    assert whole[deep["parent"]]["actor"] == "inner"


async def test_an_actor_that_is_not_there(beside: Supervised) -> None:
    """The nearest is named, also when what is above it was left out."""
    near, below, far = await beside.several(
        ("ps", "countre"), ("status", "deep"), ("dump", "nothing-like-it", "--json")
    )

    assert (near.code, near.out) == (1, "")
    assert near.err == "codex-actors: there is no actor 'countre', did you mean counter?\n"
    assert below.err == "codex-actors: there is no actor 'deep', did you mean inner/deep?\n"
    assert far.err == "codex-actors: there is no actor 'nothing-like-it': see `ps`\n"
