"""What `top` shows, as documents and as lines: pure."""

from typing import Any

from codex_actors.cli.top_frame import Meter, screen


def _actor(path: str, handled: int = 0, **changed: Any) -> dict[str, Any]:
    return {
        "path": path,
        "kind": "worker",
        "state": "running",
        "uptime": 61.0,
        "restarts_in_window": 0,
        "restarts": 0,
        "mailbox": 0,
        "mailbox_capacity": 1024,
        "handled": handled,
        "in_hand": None,
        "in_hand_for": None,
        "last_error": None,
        "children": [],
        **changed,
    }


def _tree(*children: dict[str, Any]) -> dict[str, Any]:
    root = _actor("", kind="supervisor", mailbox_capacity=None, children=list(children))
    return {"root": "files", "tree": root}


def _process(pid: int = 7, operations: int = 0) -> dict[str, Any]:
    return {
        "version": "1.0",
        "pid": pid,
        "state": "running",
        "uptime": 3_700.0,
        "actors": {"total": 2, "supervisors": 1, "restarts": 0, "states": {"running": 2}},
        "events": 5,
        "operations": [
            {
                "operation": number,
                "kind": "upload",
                "what": f"file{number}.bin",
                "state": "running",
                "seconds": 2.0,
                "progress": {"acknowledged": 3 * 2**20, "total": 4 * 2**20, "rate": 2**20},
                "outcome": None,
                "error": None,
            }
            for number in range(1, operations + 1)
        ],
        "ended": [],
    }


def test_rates_are_differences() -> None:
    """Of the same process and the same actor; of one that is new there is nothing to tell."""
    meter = Meter()
    meter.frame(_process(), _tree(_actor("a", 10), _actor("b", 5)), 100.0)

    frame = meter.frame(_process(), _tree(_actor("a", 40), _actor("b", 5), _actor("c", 9)), 102.0)

    rates = {actor["name"]: actor["rate"] for actor in frame["actors"]}
    assert rates == {"files": 0.0, "a": 15.0, "b": 0.0, "c": None}
    assert frame["rate"] == 15.0


def test_another_process_is_no_difference() -> None:
    """Its counts begin anew, and so do those of an actor that was forgotten."""
    meter = Meter()
    meter.frame(_process(), _tree(_actor("a", 10)), 100.0)

    lower = meter.frame(_process(), _tree(_actor("a", 3)), 101.0)
    other = meter.frame(_process(pid=8), _tree(_actor("a", 20)), 102.0)

    assert lower["rate"] == 0.0
    assert other["rate"] is None
    assert {actor["rate"] for actor in other["actors"]} == {None}


def test_the_busy_come_first() -> None:
    """Those with a message in hand, then by rate, then by what waits; else as in the tree."""
    meter = Meter()
    idle = [_actor(name) for name in "abcde"]
    meter.frame(_process(), _tree(*idle), 0.0)

    frame = meter.frame(
        _process(),
        _tree(
            *(_actor("a"), _actor("b"), _actor("c", mailbox=3), _actor("d", handled=5)),
            _actor("e", in_hand="Add", in_hand_for=1.0),
        ),
        1.0,
    )

    assert [actor["name"] for actor in frame["actors"]] == ["e", "d", "c", "files", "a", "b"]


def test_a_supervisor_without_a_tree() -> None:
    """One that starts, or is about to be gone, has a head and no actors."""
    frame = Meter().frame({**_process(), "actors": None, "state": "starting"}, None, 0.0)

    lines = [line.plain for line in screen(frame)]

    assert frame["actors"] == []
    assert lines[0].endswith("pid 7, starting")
    assert "Actors: 0 total" in lines[1]


def test_the_screen() -> None:
    """A head as that of top(1), operations with bars, the actors."""
    frame = Meter().frame(_process(operations=1), _tree(_actor("a", 12)), 0.0)

    lines = [line.plain for line in screen(frame)]

    assert " up 1h02m, pid 7, running" in lines[0]
    assert lines[1] == "Actors: 2 total, 2 running; 0 restarts"
    assert lines[2] == "Messages: -/s, 0 waiting, 0 in hand"
    bar = "[###############-----] 75% of 4.0 MiB, 1.0 MiB/s"
    assert lines[4] == f"    1  upload file1.bin  2.0s  {bar}"
    assert lines[6].split()[:5] == ["NAME", "KIND", "STATE", "UPTIME", "RESTARTS"]
    assert lines[8].split() == [
        *("a", "worker", "running", "1m01s", "0", "0/1024", "-", "12", "-"),
        "-",
    ]


def test_a_small_terminal() -> None:
    """No line is wider, none is too many; operations take a third at most."""
    actors = [_actor(f"some/rather/long/path/{number}") for number in range(30)]
    frame = Meter().frame(_process(operations=9), _tree(*actors), 0.0)

    lines = screen(frame, 40, 12)

    assert len(lines) == 12
    assert max(line.cell_len for line in lines) <= 40
    assert lines[7].plain == "       and 6 more"
    assert lines[9].plain.startswith("NAME")
    assert screen(frame, 1, 1)[0].cell_len == 1
