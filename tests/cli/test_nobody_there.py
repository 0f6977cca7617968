"""The verbs that ask a supervisor when none is there, or when they are asked wrongly."""

import socket
from pathlib import Path

import trio
from cli_support import CommandLine

# Every verb, as it is used, and as it makes no sense.
USES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "status": (("status",), ("status", "a", "b"), "b"),
    "ps": (("ps", "--json"), ("ps", "--jsno"), "--jsno"),
    "pstree": (("pstree",), ("pstree", "--depth", "2"), "--depth"),
    "top": (("top", "-n", "1"), ("top", "--interval", "0"), "--interval: give at least 0.05"),
    "events": (("events", "-f"), ("events", "-n", "-1"), "--last: -1"),
    "restart": (("restart", "a"), ("restart",), "NAME"),
    "stop": (("stop", "a", "--json"), ("stop", "a", "--timeout", "soon"), "'soon' is not a time"),
    "start": (("start", "a"), ("start",), "NAME"),
    "cancel": (("cancel", "1"), ("cancel", "one"), "one"),
    "drain": (("drain",), ("drain", "--timeout", "-1"), "-1"),
    "shutdown": (("shutdown", "--now"), ("shutdown", "later"), "later"),
    "dump": (("dump",), ("dump", "--depth"), "--depth"),
}


async def test_without_a_supervisor(tmp_path: Path) -> None:
    """Exit code 3, one line that says how to start one, and nothing on stdout or disk."""
    command_line = CommandLine(tmp_path)
    ran = await command_line.several(*(right for right, _, _ in USES.values()))
    done = dict(zip(USES, ran, strict=True))

    assert {verb: each.code for verb, each in done.items()} == dict.fromkeys(USES, 3)
    assert {each.out for each in done.values()} == {""}
    (line,) = {each.err for each in done.values()}
    assert line.startswith("codex-actors: no supervisor runs at ")
    assert line.endswith(": start one with `python -m codex_actors run`\n")
    assert {path.name for path in tmp_path.iterdir()} == {"home"}


async def test_wrong_use(tmp_path: Path) -> None:
    """Exit code 2, one line that names what is wrong."""
    command_line = CommandLine(tmp_path)
    ran = await command_line.several(*(wrong for _, wrong, _ in USES.values()))
    done = dict(zip(USES, ran, strict=True))

    assert {verb: each.code for verb, each in done.items()} == dict.fromkeys(USES, 2)
    for verb, each in done.items():
        assert USES[verb][2] in each.err, verb
        assert each.err.startswith("codex-actors: "), verb
        assert each.err.count("\n") == 1, verb


async def test_somebody_who_does_not_answer(tmp_path: Path) -> None:
    """A socket that lets nobody in is no supervisor that could be asked: exit code 4."""
    command_line = CommandLine(tmp_path)
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()

        async with trio.open_nursery() as nursery:

            async def hang_up() -> None:
                listener = trio.socket.from_stdlib_socket(deaf.dup())
                client, _ = await listener.accept()
                client.close()
                listener.close()

            nursery.start_soon(hang_up)
            done = await command_line.run("status", "--socket", path)

    assert (done.code, done.out) == (4, "")
    assert "cannot be asked any more" in done.err
