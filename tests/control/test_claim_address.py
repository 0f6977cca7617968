"""One supervisor listens at an address, and nobody else's socket gets there."""

import errno
import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import trio
from wire_support import short_folder

from codex_actors.control.claim import bind, bind_masked, claim_address, lock_path
from codex_actors.control.errors import AddressHeld, AddressRefused
from codex_actors.control.locks import hold_lock

# Claims what it is told, says so, and holds it until its input ends.
CLAIMER = """
import sys
from pathlib import Path
from codex_actors.control.claim import claim_address
from codex_actors.control.errors import AddressHeld
print("ready", flush=True)
sys.stdin.readline()
try:
    with claim_address(Path(sys.argv[1])):
        print("claimed", flush=True)
        sys.stdin.read()
except AddressHeld as held:
    print("held", held.pid, flush=True)
"""


@contextmanager
def claimer(path: Path) -> Generator[subprocess.Popen[str]]:
    """A process that is about to claim a path, when it is told to by a line."""
    command = [sys.executable, "-c", CLAIMER, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert line_of(process) == "ready\n"
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline()


def tell(process: subprocess.Popen[str]) -> None:
    """Have a process go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.fixture
def path() -> Generator[Path]:
    """Where a socket is to be."""
    with short_folder() as folder:
        yield folder / "s.sock"


async def test_it_is_listened_at_and_gone_afterwards(path: Path) -> None:
    """Private, with a lock that names this process and stays as an empty file."""
    with claim_address(path) as listener:
        modes = [stat.S_IMODE(each.stat().st_mode) for each in (path, lock_path(path))]
        pid = lock_path(path).read_text()
        async with await trio.open_unix_socket(path) as client, await listener.accept() as served:
            await client.send_all(b"x")
            said = await served.receive_some()

    assert modes == [0o600, 0o600]
    assert pid == f"{os.getpid()}\n"
    assert said == b"x"
    assert not path.exists()
    assert lock_path(path).read_bytes() == b""


@pytest.mark.parametrize("mask", [0, 0o077, 0o777])
def test_the_socket_is_private_from_its_first_moment(path: Path, mask: int) -> None:
    """By the mode of the socket, or where it has none by the mask, whatever the mask was."""
    before = os.umask(mask)
    try:
        for number, how in enumerate((bind, bind_masked)):
            place = path.with_name(str(number))
            with socket.socket(socket.AF_UNIX) as bound:
                how(bound, str(place))
                assert not stat.S_IMODE(place.stat().st_mode) & ~0o600
        assert os.umask(mask) == mask
    finally:
        os.umask(before)


def test_nobody_sees_it_open_while_it_is_made(path: Path) -> None:
    """Somebody looks all the time while it comes and goes."""
    seen: set[int] = set()
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            try:
                seen.add(stat.S_IMODE(os.lstat(path).st_mode))
            except FileNotFoundError:
                continue

    looker = threading.Thread(target=look)
    looker.start()
    try:
        for _ in range(300):
            with claim_address(path):
                pass
    finally:
        is_over.set()
        looker.join()

    assert seen <= {0o600}


def test_missing_folders_are_made_private(path: Path) -> None:
    """All of them, whatever the mask."""
    deep = path.parent / "a" / "b" / "s.sock"

    before = os.umask(0)
    try:
        with claim_address(deep):
            modes = [stat.S_IMODE(each.stat().st_mode) for each in deep.parents[:2]]
    finally:
        os.umask(before)

    assert modes == [0o700, 0o700]


def test_of_many_at_once_exactly_one_wins(path: Path) -> None:
    """Among processes, over a socket that a killed one has left."""
    with claimer(path) as killed:
        tell(killed)
        assert line_of(killed) == "claimed\n"
    assert path.exists()

    with ExitStack() as stack:
        processes = [stack.enter_context(claimer(path)) for _ in range(4)]
        for process in processes:
            tell(process)
        said = sorted(line_of(process) for process in processes)

        assert said[0] == "claimed\n"
        assert all(line.startswith("held") for line in said[1:])
        with pytest.raises(AddressHeld) as held:
            claim_address(path).__enter__()
    assert held.value.pid in {process.pid for process in processes}


def test_the_one_who_holds_it_is_named(path: Path) -> None:
    """In the error, which says what to do; killed, it holds nothing any more."""
    with claimer(path) as process:
        tell(process)
        assert line_of(process) == "claimed\n"

        with pytest.raises(AddressHeld, match=f"process {process.pid}.*end that one") as held:
            claim_address(path).__enter__()
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert path.exists()
        with claim_address(path):
            is_there = path.exists()

    assert held.value.pid == process.pid
    assert is_there
    assert not path.exists()


def test_one_who_listens_without_a_lock_is_left_alone(path: Path) -> None:
    """Its lock may have been swept away with old files; it is asked who it is."""
    with claim_address(path):
        lock_path(path).unlink()

        with pytest.raises(AddressHeld, match=f"process {os.getpid()}") as held:
            claim_address(path).__enter__()

        assert path.exists()
    assert held.value.pid == os.getpid()


def test_a_queue_that_is_full_is_somebody_listening(path: Path) -> None:
    """Though nobody lets in whoever knocks."""
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))

        with pytest.raises(AddressHeld):
            claim_address(path).__enter__()


def test_what_is_no_socket_is_left_alone(path: Path) -> None:
    """A file, a directory, a link that leads nowhere."""
    makes: list[Callable[[], object]] = [path.touch, path.mkdir, lambda: path.symlink_to("no")]
    for make in makes:
        make()
        with pytest.raises(AddressRefused, match="no socket"):
            claim_address(path).__enter__()
        assert os.path.lexists(path)
        path.rmdir() if path.is_dir() else path.unlink()


def test_a_lock_that_is_no_lock_is_left_alone(path: Path) -> None:
    """A file of somebody's, another name of it, a link to it, a pipe."""
    precious = path.with_name("precious")
    precious.write_text("precious")
    empty = path.with_name("empty")
    empty.touch()
    lock = lock_path(path)

    makes: list[Callable[[], object]] = [
        lambda: lock.write_text("[[package]]"),
        lambda: lock.hardlink_to(empty),
        lambda: lock.symlink_to(precious),
        lambda: os.mkfifo(lock),
        lock.mkdir,
    ]
    for make in makes:
        make()
        with pytest.raises(AddressRefused, match="lock"):
            claim_address(path).__enter__()
        assert os.path.lexists(lock)
        assert not path.exists()
        lock.rmdir() if lock.is_dir() else lock.unlink()
    assert precious.read_text() == "precious"


def test_a_lock_that_was_removed_is_taken_anew(path: Path) -> None:
    """By its name two cannot hold it."""
    lock = lock_path(path)
    with hold_lock(lock, "one"):
        lock.unlink()
        with hold_lock(lock, "two"):
            again = os.open(lock, os.O_RDWR)
            try:
                with pytest.raises(BlockingIOError):
                    fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finally:
                os.close(again)
            is_named = lock.read_text()

    assert is_named == f"{os.getpid()}\n"


@pytest.mark.parametrize(
    ("mode", "is_refused"),
    [(0o777, True), (0o757, True), (0o1777, False), (0o755, False), (0o700, False)],
)
def test_a_folder_that_others_may_change_is_refused(
    path: Path, mode: int, is_refused: bool
) -> None:
    """Unless what is in it stays its owner's, as in /tmp."""
    path.parent.chmod(mode)

    if is_refused:
        with pytest.raises(AddressRefused, match=r"written to by others.*--socket"):
            claim_address(path).__enter__()
        assert not path.exists()
    else:
        with claim_address(path):
            assert path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_folder_or_socket_of_another_user_is_refused(path: Path) -> None:
    """And so is a link of his, or a group that is not this user's own."""
    theirs = path.parent / "theirs"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    link = path.parent / "link"
    link.symlink_to(path.parent)
    os.chown(link, 65534, 65534, follow_symlinks=False)
    group = path.parent / "group"
    group.mkdir()
    group.chmod(0o770)
    os.chown(group, 0, 65534)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    os.chown(path, 65534, 65534)

    for place in (theirs / "s", link / "s", group / "s", path):
        with pytest.raises(AddressRefused, match=r"another user|others"):
            claim_address(place).__enter__()
    assert path.exists()


def test_a_path_that_cannot_be_is_refused(path: Path) -> None:
    """Too long, under a file, under what is not to be made."""
    path.touch()

    for place in (path.with_name("x" * 200), path / "s", Path("/proc/none/s")):
        with pytest.raises(AddressRefused, match=r"cannot be|can be no"):
            claim_address(place).__enter__()


async def test_a_socket_of_another_is_not_removed(path: Path) -> None:
    """If somebody has put his in the place of ours."""
    with claim_address(path):
        path.unlink()
        path.touch()

    assert path.exists()


def test_a_child_that_was_forked_holds_nothing(path: Path) -> None:
    """It may outlive its parent; neither the lock nor the socket are its."""
    with claim_address(path) as listener:
        lock = next(
            int(each.name)
            for each in Path("/proc/self/fd").iterdir()
            if each.exists() and each.resolve() == lock_path(path).resolve()
        )
        descriptors = (listener.socket.fileno(), lock)
        child = os.fork()
        if not child:
            closed = 0
            for descriptor in descriptors:
                try:
                    os.fstat(descriptor)
                except OSError as error:
                    closed += error.errno == errno.EBADF
            os._exit(closed)
        _, status = os.waitpid(child, 0)

        assert os.waitstatus_to_exitcode(status) == len(descriptors)
        with pytest.raises(AddressHeld):
            claim_address(path).__enter__()


def test_an_error_in_the_block_leaves_nothing(path: Path) -> None:
    """It passes as it is."""
    with pytest.raises(KeyError), claim_address(path):
        raise KeyError

    assert not path.exists()
    with claim_address(path):
        assert path.exists()
