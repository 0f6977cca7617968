"""Claims: which partial folders and leases are whose, and who is dead."""

import fcntl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from processes_support import Job, servers

from codex_actors.files.store.claim import claim, is_dead, owners, remove_dead, settle
from codex_actors.files.store.directory import prepare_staging_dir
from codex_actors.files.store.disk import Disk
from codex_actors.files.store.layout import Layout

DISK = Disk()

OTHER_PROCESS = """
import sys
from pathlib import Path
from codex_actors.files.store.claim import claim
from codex_actors.files.store.directory import prepare_staging_dir
from codex_actors.files.store.disk import Disk

mine = claim(prepare_staging_dir(Path(sys.argv[1]), Disk()), Disk())
mine.new_partial().write_bytes(b"half")
print(mine.owner, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A prepared staging directory."""
    return prepare_staging_dir(tmp_path, DISK)


def test_a_claim_lives_until_its_last_holder_leaves(layout: Layout) -> None:
    """Two trees of one process share it; the folder goes with the second."""
    first = claim(layout, DISK)
    second = claim(layout, DISK)

    first.release()

    assert first is second
    assert not is_dead(layout, second.owner)
    second.release()
    assert owners(layout) == []


def test_an_abandoned_claim_is_taken_over(layout: Layout) -> None:
    """A registry that crashed leaves its claim, and so its leases, to the next."""
    crashed = claim(layout, DISK)
    crashed.abandon()

    restarted = claim(layout, DISK)
    restarted.release()

    assert restarted is crashed
    assert owners(layout) == []


def test_an_abandoned_claim_can_be_settled(layout: Layout) -> None:
    """A tree that gave up has no next registry; whoever opened it cleans up."""
    claim(layout, DISK).abandon()

    settle(layout)

    assert owners(layout) == []


def test_settling_leaves_living_holders_alone(layout: Layout) -> None:
    """Another tree of this process goes on."""
    mine = claim(layout, DISK)

    settle(layout)

    assert not is_dead(layout, mine.owner)
    mine.release()


def test_partial_files_are_never_shared(layout: Layout) -> None:
    """Every staging writes to a path of its own."""
    mine = claim(layout, DISK)

    paths = [mine.new_partial() for _ in range(3)]
    mine.release()

    assert len(set(paths)) == 3


def test_another_process_is_alive_until_it_is_killed(layout: Layout) -> None:
    """Its lock tells, not its process id; then its partial files can be collected."""
    # F21
    with subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, layout.root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        owner = other.stdout.readline().strip()

        alive = not is_dead(layout, owner)
        kept = not remove_dead(layout, owner)
        other.kill()
        other.wait()

    assert alive
    assert kept
    assert is_dead(layout, owner)
    assert remove_dead(layout, owner)
    assert owners(layout) == []


def test_a_folder_without_a_lock_is_dead(layout: Layout) -> None:
    """Its maker died between two steps."""
    layout.owned("1-abc").mkdir()

    assert is_dead(layout, "1-abc")
    assert remove_dead(layout, "1-abc")
    assert owners(layout) == []


def claim_often(root: str, times: int) -> None:
    """Claim and release in a process of its own; whoever holds a claim has its folder."""
    layout = prepare_staging_dir(Path(root), DISK)
    for _ in range(times):
        mine = claim(layout, DISK)
        mine.new_partial().write_bytes(b"x")
        assert layout.lock(mine.owner).exists()
        mine.release()


def test_a_folder_in_the_making_is_not_taken_for_dead(layout: Layout, tmp_path: Path) -> None:
    """Sweepers look at it between any two steps of its maker, who gets another one then."""
    job = Job(
        work="test_claim:claim_often",
        options={"root": str(layout.root), "times": 400},
        output=str(tmp_path.with_name("output")),
    )

    with servers(1) as (server,):
        server.start(job)
        with ThreadPoolExecutor(2) as pool:
            ended = pool.submit(server.wait)
            while not ended.done():
                for owner in owners(layout):
                    remove_dead(layout, owner)
            status, errors = ended.result()

    assert (status, errors) == (0, "")
    for owner in owners(layout):
        remove_dead(layout, owner)
    assert owners(layout) == []


def test_those_who_look_do_not_hide_the_dead_from_each_other(layout: Layout) -> None:
    """Two sweepers at once both see that a process has ended."""
    layout.owned("1-abc").mkdir()
    layout.lock("1-abc").touch()

    with layout.lock("1-abc").open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        dead = is_dead(layout, "1-abc")
        removed = remove_dead(layout, "1-abc")

    assert dead
    assert removed
    assert owners(layout) == []


FORKS_AND_DIES = """
import os, sys
from pathlib import Path
from codex_actors.files.store.claim import claim
from codex_actors.files.store.directory import prepare_staging_dir
from codex_actors.files.store.disk import Disk

mine = claim(prepare_staging_dir(Path(sys.argv[1]), Disk()), Disk())
if os.fork() == 0:
    mine.release()
    print(mine.owner, flush=True)
    sys.stdin.read()
    os._exit(0)
sys.stdin.read()
"""


def test_a_forked_child_does_not_keep_its_parent_alive(layout: Layout) -> None:
    """The parent's lock ends with the parent, and the child cannot give up what is not its own."""
    with subprocess.Popen(
        [sys.executable, "-c", FORKS_AND_DIES, layout.root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        owner = parent.stdout.readline().strip()

        alive = not is_dead(layout, owner)
        parent.kill()
        parent.wait()
        dead = is_dead(layout, owner)

    assert alive
    assert dead
