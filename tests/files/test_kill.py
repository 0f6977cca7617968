"""Processes that are ended by SIGKILL: nothing is lost, nothing is leaked, nothing is torn.

A child stages, sweeps, removes and tells what it did, until it is killed: at a moment of chance, at
a named point, or right before or after its n-th system call of a kind. Then the directory is opened
again, and what is there is compared with what was told, and with a walk of the disk.

`CODEX_ACTORS_TEST_KILLS=300` (or any other number) kills that often at moments of chance, and
dies at every point several times, instead of the few times that every run of the tests does. A
failure names its seed: `CODEX_ACTORS_TEST_KILL_SEED=<seed>` makes the choices of that run again.
"""

import os
import random
import signal
import time
from collections.abc import Generator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, field
from disk_support import KINDS
from ledger_support import Ledger
from processes_support import Job, Server, servers
from walk_support import assert_equal_to_walk, walk_of

from codex_actors.files import FilesConfig, open_files

KILLS = int(os.environ.get("CODEX_ACTORS_TEST_KILLS", "20"))
NIGHTLY = KILLS > 20
SEED = int(os.environ.get("CODEX_ACTORS_TEST_KILL_SEED", "0")) or random.SystemRandom().randrange(
    1, 10**9
)
SERIES = 4  # kills in one directory, one after the other, where they are of chance

NAMED = [
    "stage.started",
    "stage.chunk",
    "stage.copied",
    "stage.published",
    "registry.committing",
    "registry.committed",
    "sweeper.sweeping",
]
# Seldom or never reached where there are hard links.
COPYING = {"copy", "replace"}
# Seldom reached but by contents of several chunks.
BIG = {"stage.chunk", "before copy_range", "after copy_range"}
CALLS = [f"{when} {kind}" for kind in KINDS for when in ("before", "after")]


@define
class Scene:
    """One staging directory, whose users are killed one after the other.

    Attributes:
        place: Where it and all that belongs to it lie.
        server: Forks the users.
        quota: `max_count` of the users.
        links: Whether they have hard links.
        ledger: What they told.
        kills: How many ended as they were meant to.
    """

    place: Path
    server: Server
    quota: int | None = None
    links: bool = True
    ledger: Ledger = field(factory=Ledger)
    kills: int = 0

    def __attrs_post_init__(self) -> None:
        (self.place / "sources").mkdir(parents=True)

    @property
    def root(self) -> Path:
        """The staging directory."""
        return self.place / "staging"

    def kill(self, seed: int, *, after: float | None = None, **options: Any) -> None:
        """Have one user killed, after some seconds or as the options say."""
        output = self.place / f"ledger-{self.kills}"
        output.touch()
        options = {
            "root": str(self.root),
            "sources": str(self.place / "sources"),
            "seed": seed,
            "quota": self.quota,
            "links": self.links,
            **options,
        }
        job = Job(work="churn_support:churn", options=options, output=str(output), kill_after=after)
        status, errors = self.server.run(job)
        assert status == -signal.SIGKILL, f"ended with {status}: {errors}"
        self.kills += 1
        self.ledger.read(output)

    async def check(self) -> None:
        """Open the directory again: all that was told is true, and the disk holds no more."""
        found = walk_of(self.root) if self.root.exists() else None
        config = FilesConfig(staging_dir=self.root, durability="none")
        async with open_files(config) as files:
            before = time.time()
            await files.force_cleanup()
            after = time.time()
            listed = await files.list_staged()
            metrics = await files.metrics()
            walk = walk_of(self.root)

        assert found is None or found.torn == ()
        self.ledger.check(listed, after, evicting=self.quota is not None)
        # A blob whose mending was cut short may be two files under two names until it is mended.
        assert_equal_to_walk(metrics, listed, walk, linked=False)
        moments = [kept.expires_at.timestamp() for kept in listed if kept.expires_at]
        assert [moment for moment in moments if moment <= before] == []
        assert walk.partials == ()
        assert metrics.leases == 0
        assert len(walk.owners) == 1, "only the process that looks has a folder now"
        assert (walk.others, walk.blank) == ((), ())


@pytest.fixture(autouse=True)
def seed() -> None:
    """Tell how to make the choices of this run again; shown when a test fails."""
    print(f"CODEX_ACTORS_TEST_KILL_SEED={SEED}")  # noqa: T201 - what pytest captures


@pytest.fixture(scope="module")
def server() -> Generator[Server]:
    """What forks the processes that are killed."""
    with servers(1) as (one,):
        yield one


@pytest.mark.parametrize("point", NAMED)
async def test_a_kill_at_a_named_point(tmp_path: Path, server: Server, point: str) -> None:
    """Whichever step of a staging, a commit or a sweep is the last."""
    # F21, F22
    chance = random.Random(f"{SEED} {point}")
    scene = Scene(tmp_path / "scene", server)

    for nth in [chance.randrange(1, 12) for _ in range(10 if NIGHTLY else 1)]:
        scene.kill(chance.randrange(10**6), at=point, nth=nth, big=point in BIG)
        await scene.check()


@pytest.mark.parametrize("point", CALLS)
async def test_a_kill_at_a_system_call(tmp_path: Path, server: Server, point: str) -> None:
    """Right before and right after each thing that is done to the disk; a start does some, too."""
    # F21, F24, F29, F41
    chance = random.Random(f"{SEED} {point}")
    scene = Scene(tmp_path / "scene", server, links=point.split()[1] not in COPYING)

    for _ in range(10 if NIGHTLY else 1):
        nth = chance.choice([1, chance.randrange(2, 30)])
        scene.kill(chance.randrange(10**6), at=point, nth=nth, big=point in BIG)
        await scene.check()


@pytest.mark.parametrize("number", range(-(-KILLS // SERIES)))
async def test_a_kill_at_any_moment(tmp_path: Path, server: Server, number: int) -> None:
    """Several users of one directory are killed one after the other, each at a moment of chance.

    Sometimes there is a quota, sometimes there are no hard links, sometimes the manifest is lost
    with its user, sometimes another process sweeps all the time, and outlives them.
    """
    # F21, F22, F27, F41
    chance = random.Random(f"{SEED} {number}")
    quota = 25 if number % 5 == 3 else None
    scene = Scene(tmp_path / "scene", server, quota, links=number % 5 != 4)
    survives, loses = number % 3 == 1, quota is None and number % 5 == 2

    config = FilesConfig(staging_dir=scene.root, durability="none", sweep_interval=0.05)
    for _ in range(SERIES):
        async with AsyncExitStack() as stack:
            if survives:
                await stack.enter_async_context(open_files(config))
            kill = partial(scene.kill, chance.randrange(10**6), after=chance.uniform(0.02, 0.6))
            await trio.to_thread.run_sync(kill)
        if loses and not survives:
            for path in scene.root.glob("manifest.sqlite3*"):
                path.unlink()
            scene.ledger.lose_manifest(time.time(), 86_000)
        await scene.check()
