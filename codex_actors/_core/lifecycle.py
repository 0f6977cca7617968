"""The states of a child's place, as pure tables that the engine obeys.

Which steps between them are legal, and what each state answers to an administrator.

    starting ──► running ──► stopping ──► terminated
        │           │            │            │
        │           ▼            ▼            ▼
        │       restarting ◄─► backoff    starting (restart_child)
        ▼           │
    terminated ◄────┘

`stopping` leads back to `restarting` when the stop belonged to a restart, or was a
ref's and the restart type asks for another life.
"""

import enum


class ChildState(enum.Enum):
    """What a child's place is doing."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    RESTARTING = "restarting"
    BACKOFF = "backoff"
    TERMINATED = "terminated"


_STEPS: dict[ChildState, frozenset[ChildState]] = {
    ChildState.STARTING: frozenset(
        {ChildState.RUNNING, ChildState.STOPPING, ChildState.RESTARTING, ChildState.TERMINATED}
    ),
    ChildState.RUNNING: frozenset(
        {ChildState.STOPPING, ChildState.RESTARTING, ChildState.BACKOFF, ChildState.TERMINATED}
    ),
    ChildState.STOPPING: frozenset(
        {ChildState.RESTARTING, ChildState.BACKOFF, ChildState.TERMINATED}
    ),
    ChildState.RESTARTING: frozenset(
        {ChildState.RUNNING, ChildState.STOPPING, ChildState.BACKOFF, ChildState.TERMINATED}
    ),
    ChildState.BACKOFF: frozenset({ChildState.RESTARTING, ChildState.TERMINATED}),
    ChildState.TERMINATED: frozenset({ChildState.STARTING, ChildState.RESTARTING}),
}


def is_legal(before: ChildState, after: ChildState) -> bool:
    """Whether a place may go from one state to the other (staying is always legal)."""
    return before is after or after in _STEPS[before]


class Operation(enum.Enum):
    """What an administrator asks of a child by its id."""

    START = "start_child"
    TERMINATE = "terminate_child"
    RESTART = "restart_child"
    DELETE = "delete_child"


class Verdict(enum.Enum):
    """How a supervisor answers an operation."""

    PROCEED = "do it"
    NOTHING_TO_DO = "it is so already"
    CANCEL_START = "cancel the start, then it is terminated"
    CANCEL_RETRY = "cancel the retry, then it is terminated"
    JOIN = "wait for the stop that is under way"
    WAIT = "wait for the stop, then ask the table again"
    ALREADY_STARTED = "ChildAlreadyStarted"
    ALREADY_PRESENT = "ChildAlreadyPresent"
    RUNNING = "ChildRunning"
    RESTARTING = "ChildRestarting"


_ALIVE = {
    Operation.START: Verdict.ALREADY_STARTED,
    Operation.TERMINATE: Verdict.PROCEED,
    Operation.RESTART: Verdict.RUNNING,
    Operation.DELETE: Verdict.RUNNING,
}
_COMING_BACK = {
    Operation.START: Verdict.ALREADY_PRESENT,
    Operation.TERMINATE: Verdict.CANCEL_RETRY,
    Operation.RESTART: Verdict.RESTARTING,
    Operation.DELETE: Verdict.RESTARTING,
}
_ANSWERS: dict[ChildState, dict[Operation, Verdict]] = {
    ChildState.RUNNING: _ALIVE,
    ChildState.STARTING: _ALIVE | {Operation.TERMINATE: Verdict.CANCEL_START},
    ChildState.STOPPING: {
        Operation.START: Verdict.WAIT,
        Operation.TERMINATE: Verdict.JOIN,
        Operation.RESTART: Verdict.WAIT,
        Operation.DELETE: Verdict.WAIT,
    },
    ChildState.RESTARTING: _COMING_BACK,
    ChildState.BACKOFF: _COMING_BACK,
    ChildState.TERMINATED: {
        Operation.START: Verdict.ALREADY_PRESENT,
        Operation.TERMINATE: Verdict.NOTHING_TO_DO,
        Operation.RESTART: Verdict.PROCEED,
        Operation.DELETE: Verdict.PROCEED,
    },
}


def answer(state: ChildState, operation: Operation) -> Verdict:
    """What a supervisor answers to `operation` on a child in `state`.

    As OTP's `supervisor`; `starting` and `stopping` have no counterpart there, because
    OTP's supervisor answers nothing while it starts or stops a child.
    """
    return _ANSWERS[state][operation]
