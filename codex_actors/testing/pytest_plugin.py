"""The pytest plugin: fixtures for trees in pytest-trio tests.

Loaded by the entry point `pytest11` wherever the package is installed.
"""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from codex_actors.testing import EventLog, Faults, TreeOpener

try:
    # It has no types, neither stubs nor marker.
    import pytest_trio  # type: ignore[import-untyped] # pyright: ignore[reportMissingTypeStubs]
except ImportError:  # without it there are no async tests, so nobody asks for the fixture
    pass
else:
    # As above: it has no types.
    @pytest_trio.trio_fixture  # type: ignore[untyped-decorator] # pyright: ignore[reportUnknownMemberType]
    async def open_tree() -> "AsyncGenerator[TreeOpener, None]":
        """Open supervision trees for this test; see `TreeOpener`.

        `supervisor = await open_tree(spec)` starts one.  They are stopped when the test has
        ended; one that does not end, or leaves a task behind, fails the test.
        """
        import trio

        from codex_actors.testing import TreeOpener

        async with trio.open_nursery() as nursery:
            opener = TreeOpener(nursery)
            yield opener  # noqa: ASYNC101, ASYNC119 - pytest-trio runs fixtures as contexts
            try:
                await opener.close()
            finally:
                nursery.cancel_scope.cancel()


@pytest.fixture
def event_log() -> "EventLog":
    """An empty `EventLog`."""
    from codex_actors.testing import EventLog

    return EventLog()


@pytest.fixture
def faults() -> "Faults":
    """An empty `Faults`; enter it around the opening of the tree."""
    from codex_actors.testing import Faults

    return Faults()
