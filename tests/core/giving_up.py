"""Opening a tree that is expected to give up."""

from collections.abc import Awaitable, Callable, Iterable

import pytest
from trio.testing import wait_all_tasks_blocked

from codex_actors import (
    EventHandler,
    RestartIntensityExceeded,
    Supervisor,
    SupervisorSpec,
    open_supervisor,
)


async def give_up(
    spec: SupervisorSpec,
    act: Callable[[Supervisor], Awaitable[None]],
    on_event: Iterable[EventHandler] = (),
) -> RestartIntensityExceeded:
    """Open a tree, do something to it, and return the error with which it ended."""
    try:
        async with open_supervisor(spec, on_event=on_event) as supervisor:
            await act(supervisor)
            await wait_all_tasks_blocked()
    except RestartIntensityExceeded as error:
        return error
    pytest.fail("the supervisor did not give up")
