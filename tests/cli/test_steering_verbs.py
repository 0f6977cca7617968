"""The verbs that steer a running supervisor: `stop`, `start`, `restart`, `cancel`."""

from collections.abc import Generator

import pytest
from supervised_support import Supervised, supervised


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Generator[Supervised]:
    """A command line beside a supervisor whose children have settled."""
    directory = tmp_path_factory.mktemp("steering")
    with supervised(directory, "TREE", until=("ready", "settled")) as running:
        yield running


async def test_stop_and_start(beside: Supervised) -> None:
    """Stopped it stays so; what is stopped can be stopped, what runs cannot be started."""
    stopped, again, started, running = await beside.several(
        ("stop", "counter"),
        ("stop", "counter", "--json"),
        ("start", "counter", "--json"),
        ("start", "counter"),
    )

    assert (stopped.code, stopped.out) == (0, "counter: terminated, was running\n")
    assert (again.code, again.document["was"]) == (0, "terminated")
    assert again.document["actor"]["state"] == "terminated"
    assert (started.code, started.document["schema"]) == (0, 1)
    assert started.document["actor"]["state"] == "running"
    assert running.code == 1
    assert running.err == (
        "codex-actors: counter is running: `restart` stops it and starts it again\n"
    )


async def test_restart(beside: Supervised) -> None:
    """A new life, which no intensity counts; a whole subtree too, and what was stopped."""
    one, tree = await beside.several(("restart", "host"), ("restart", "inner", "--json"))

    assert (one.code, one.out) == (0, "host: running, was running\n")
    (deep,) = tree.document["actor"]["children"]
    assert (deep["path"], deep["state"]) == ("inner/deep", "running")
    assert tree.document["actor"]["restarts"] == 1
    root = (await beside.run("ps", "tree", "--json")).document["actors"][0]
    assert root["restarts_in_window"] <= 1  # that of the crasher


async def test_a_start_that_fails_tells_why(beside: Supervised) -> None:
    """It stays stopped, and the error names its cause."""
    failed = await beside.run("restart", "fickle")

    assert (failed.code, failed.out) == (1, "")
    assert failed.err == (
        "codex-actors: child 'fickle' could not be started (RuntimeError: not in the mood)\n"
    )


async def test_what_takes_longer_goes_on(beside: Supervised) -> None:
    """Whoever waits has a limit; the stop has none."""
    impatient, patient = await beside.several(
        ("stop", "stubborn", "--timeout", "0.05"), ("stop", "stubborn", "--json")
    )

    assert impatient.code == 1
    assert "stop stubborn takes longer than 0.1s; it goes on" in impatient.err
    assert (patient.code, patient.document["actor"]["state"]) == (0, "terminated")


async def test_what_cannot_come_back(beside: Supervised) -> None:
    """A temporary child and one of a dynamic supervisor: they are only stopped, and forgotten."""
    temporary, dynamic, start = await beside.several(
        ("restart", "brief"), ("restart", "pool/guest"), ("start", "pool/guest")
    )

    assert {done.code for done in (temporary, dynamic, start)} == {1}
    assert "brief is temporary: stopped, it is forgotten" in temporary.err
    assert "pool/guest cannot be restarted: its supervisor is dynamic" in dynamic.err
    assert "pool/guest cannot be started: its supervisor is dynamic" in start.err
    brief, guest = await beside.several(("stop", "brief"), ("stop", "pool/guest", "--json"))
    assert brief.out == "brief: forgotten, was running\n"
    assert guest.document["actor"] is None


async def test_who_cannot_be_stopped(beside: Supervised) -> None:
    """The root has no supervisor, and who is not there has none, either."""
    root, missing, none = await beside.several(
        ("stop", "tree"), ("restart", "inner/depe"), ("cancel", "7")
    )

    assert {done.code for done in (root, missing, none)} == {1}
    assert "tree is the root of the tree" in root.err
    assert "`drain` or `shutdown` end it" in root.err
    assert "there is no actor 'inner/depe', did you mean inner/deep?" in missing.err
    assert "no operation 7 is under way: see `status`" in none.err


async def test_cancel(beside: Supervised) -> None:
    """An operation that is under way is given up, and `status` says so."""
    async with beside.going_on("restart", "slow") as going:
        while not (status := await beside.run("status", "--json")).document["operations"]:
            pass
        (operation,) = status.document["operations"]
        cancelled = await beside.run("cancel", str(operation["operation"]), "--json")
        code = await going.wait()

    assert (operation["kind"], operation["what"]) == ("restart", "slow")
    assert cancelled.document["operation"]["operation"] == operation["operation"]
    assert code == 1
    shown = await beside.run("status")
    assert "restart slow  cancelled" in shown.out
