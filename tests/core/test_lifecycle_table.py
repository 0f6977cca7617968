"""The pure table of a child's states: what each answers to each operation."""

import pytest

from codex_actors import ChildState
from codex_actors._core.lifecycle import Operation, Verdict, answer, is_legal

START, TERMINATE = Operation.START, Operation.TERMINATE
RESTART, DELETE = Operation.RESTART, Operation.DELETE

# One row per state, as the specification writes them.
TABLE = {
    ChildState.RUNNING: {
        START: Verdict.ALREADY_STARTED,
        TERMINATE: Verdict.PROCEED,
        RESTART: Verdict.RUNNING,
        DELETE: Verdict.RUNNING,
    },
    ChildState.TERMINATED: {
        START: Verdict.ALREADY_PRESENT,
        TERMINATE: Verdict.NOTHING_TO_DO,
        RESTART: Verdict.PROCEED,
        DELETE: Verdict.PROCEED,
    },
    ChildState.RESTARTING: {
        START: Verdict.ALREADY_PRESENT,
        TERMINATE: Verdict.CANCEL_RETRY,
        RESTART: Verdict.RESTARTING,
        DELETE: Verdict.RESTARTING,
    },
    ChildState.BACKOFF: {
        START: Verdict.ALREADY_PRESENT,
        TERMINATE: Verdict.CANCEL_RETRY,
        RESTART: Verdict.RESTARTING,
        DELETE: Verdict.RESTARTING,
    },
    ChildState.STARTING: {
        START: Verdict.ALREADY_STARTED,
        TERMINATE: Verdict.CANCEL_START,
        RESTART: Verdict.RUNNING,
        DELETE: Verdict.RUNNING,
    },
    ChildState.STOPPING: {
        START: Verdict.WAIT,
        TERMINATE: Verdict.JOIN,
        RESTART: Verdict.WAIT,
        DELETE: Verdict.WAIT,
    },
}

CELLS = [
    pytest.param(state, operation, verdict, id=f"{state.value}-{operation.value}")
    for state, row in TABLE.items()
    for operation, verdict in row.items()
]


@pytest.mark.parametrize(("state", "operation", "expected"), CELLS)
def test_answer(state: ChildState, operation: Operation, expected: Verdict) -> None:
    """Every cell of the specification's table."""
    # S6 S7 S8 S10 S11 G10
    assert answer(state, operation) is expected


def test_table_is_total() -> None:
    """There is an answer for every state and every operation."""
    assert set(TABLE) == set(ChildState)
    for row in TABLE.values():
        assert set(row) == set(Operation)


@pytest.mark.parametrize("state", ChildState)
def test_staying_is_legal(state: ChildState) -> None:
    """To enter the state one is in is never an error."""
    assert is_legal(state, state)


@pytest.mark.parametrize("state", ChildState)
def test_every_state_can_end(state: ChildState) -> None:
    """From every state a child can come to be terminated."""
    reached = {state}
    while True:
        more = {after for before in reached for after in ChildState if is_legal(before, after)}
        if more <= reached:
            break
        reached |= more

    assert ChildState.TERMINATED in reached


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ChildState.TERMINATED, ChildState.RUNNING),
        (ChildState.TERMINATED, ChildState.STOPPING),
        (ChildState.TERMINATED, ChildState.BACKOFF),
        (ChildState.BACKOFF, ChildState.RUNNING),
        (ChildState.BACKOFF, ChildState.STOPPING),
        (ChildState.STOPPING, ChildState.RUNNING),
        (ChildState.STOPPING, ChildState.STARTING),
        (ChildState.RUNNING, ChildState.STARTING),
        (ChildState.STARTING, ChildState.BACKOFF),
    ],
)
def test_what_cannot_follow(before: ChildState, after: ChildState) -> None:
    """Nothing runs without having been started, and a first start is not repeated."""
    assert not is_legal(before, after)
