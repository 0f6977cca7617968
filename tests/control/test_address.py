"""Where the socket of a supervisor is."""

import os
import socket
from pathlib import Path

import pytest
from wire_support import short_folder

from codex_actors.control.address import MAX_PATH, choose_address, find_address
from codex_actors.control.errors import AddressRefused


def test_it_is_in_a_private_runtime_directory(tmp_path: Path) -> None:
    """Named after the staging directory, by whatever name that is called."""
    with short_folder() as runtime:
        environ = {"XDG_RUNTIME_DIR": str(runtime)}
        (tmp_path / "link").symlink_to(tmp_path / "staged")

        one = choose_address(tmp_path / "staged", environ=environ)
        again = choose_address(tmp_path / "link", environ=environ)
        other = choose_address(tmp_path / "other", environ=environ)

        assert one == again != other
        assert one.parent == runtime / "codex_actors"
        assert len(one.name) == len("0123456789abcdef.sock")
        assert not one.parent.exists()


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o702])
def test_a_runtime_directory_that_is_open_to_others_is_none(mode: int) -> None:
    """Nor is one that is not there, or relative: then it is beside the staging directory."""
    with short_folder() as folder:
        runtime = folder / "run"
        runtime.mkdir()
        runtime.chmod(mode)
        beside = Path(f"{folder.resolve()}/staged.sock")

        for value in (str(runtime), str(folder / "absent"), "run", "", "bad\0name"):
            assert choose_address(folder / "staged", environ={"XDG_RUNTIME_DIR": value}) == beside


def test_a_path_that_is_too_long_for_a_socket_is_none(tmp_path: Path) -> None:
    """It goes to the temporary files; and when these are too far away, into /tmp."""
    deep = tmp_path / ("d" * 100) / "staged"
    folder = f"codex_actors-{os.geteuid()}"

    in_own = choose_address(deep, environ={"TMPDIR": "/own"})
    in_shared = choose_address(deep, environ={"TMPDIR": f"/{'t' * 100}"})

    assert in_own.parent == Path("/own") / folder
    assert in_shared.parent.parts[1:] == ("tmp", folder)
    assert in_own.name == in_shared.name


def test_what_was_chosen_is_taken_or_refused() -> None:
    """A long one cannot be replaced silently; the bound is in bytes, and exact."""
    longest = Path("/" + "é" * ((MAX_PATH - 1) // 2))

    assert choose_address(Path("/x"), longest) == longest
    assert choose_address(Path("/x"), Path("a.sock")) == Path.cwd() / "a.sock"
    for choose in (choose_address, find_address):
        with pytest.raises(AddressRefused, match=f"{MAX_PATH} bytes"):
            choose(Path("/x"), Path(f"{longest}é"))


def test_a_supervisor_with_other_variables_is_found(tmp_path: Path) -> None:
    """One that was started without a runtime directory listens beside the staging directory."""
    with short_folder() as runtime, short_folder() as folder:
        environ = {"XDG_RUNTIME_DIR": str(runtime)}
        staged = folder.resolve() / "staged"
        first = choose_address(staged, environ=environ)
        beside = choose_address(staged, environ={})
        assert find_address(staged, environ=environ) == first

        beside.touch()
        is_file = find_address(staged, environ=environ)
        beside.unlink()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(os.fspath(beside))
            is_socket = find_address(staged, environ=environ)

        assert (is_file, is_socket) == (first, beside)
