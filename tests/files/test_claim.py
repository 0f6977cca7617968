"""Claims: which partial folders and leases are whose, and who is dead."""

import subprocess
import sys
from pathlib import Path

import pytest

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
