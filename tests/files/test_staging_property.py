"""The whole of staging does what its model does, whatever is asked of it, in whatever order.

Two trees of one process share a directory. Random commands go to them and to the model; after each
one answers, events, listing, metrics, leases and every byte on disk are compared.
"""

import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
import trio
from hypothesis import given, settings
from staging_commands_support import CONTENTS, LIMITS, Command, commands
from staging_model_support import Limits, Model
from staging_world_support import START, World
from trio.testing import MockClock

TREES = 2


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of each content."""
    folder = tmp_path_factory.mktemp("sources")
    for number, content in enumerate(CONTENTS):
        (folder / str(number)).write_bytes(content)
    return folder


async def play(sources: Path, limits: Limits, steps: list[tuple[int, Command]]) -> None:
    """Carry out all commands in a fresh directory, and compare after each."""
    with tempfile.TemporaryDirectory() as folder:
        async with trio.open_nursery() as nursery:
            model = Model(limits, START * 1000)
            world = World(Path(folder) / "staging", sources, model, nursery)
            for number in range(TREES):
                await world.open(number)
            for number, command in steps:
                await world.do(number, command)
                await world.compare()
            for number in range(TREES):
                await world.close(number)
            world.compare_disk()


@pytest.mark.timeout(600)
@settings(derandomize=True, database=None, deadline=None, max_examples=60)
@given(limits=LIMITS, seed=st.integers(0, 2**32 - 1), length=st.just(40) | st.integers(1, 40))
def test_staging_does_what_the_model_does(
    sources: Path, limits: Limits, seed: int, length: int
) -> None:
    """Nothing is lost, nothing is left, nothing is told that is not so."""
    # F2, F22, F30, F33, F35, F38, F41, F44, F47
    steps = [
        (seed >> (number % 32) & 1, command)
        for number, command in enumerate(commands(seed, length))
    ]
    trio.run(play, sources, limits, steps, clock=MockClock(autojump_threshold=0))
