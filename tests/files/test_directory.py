"""The staging directory: which one, and whether it may be used."""

import os
from pathlib import Path

import pytest

from codex_actors.files import StagingDirRefused
from codex_actors.files.store.directory import choose_staging_dir, prepare_staging_dir
from codex_actors.files.store.disk import Disk

CWD = Path("/work")


@pytest.mark.parametrize(
    ("configured", "environ", "expected"),
    [
        (None, {}, "/work/_build/codex_files"),
        (None, {"CODEX_ACTORS_STAGING_DIR": ""}, "/work/_build/codex_files"),
        (None, {"CODEX_ACTORS_STAGING_DIR": "/var/staging"}, "/var/staging"),
        (Path("here"), {"CODEX_ACTORS_STAGING_DIR": "/var/staging"}, "/work/here"),
        (Path("/there"), {}, "/there"),
    ],
)
def test_the_setting_comes_before_the_environment_before_the_default(
    configured: Path | None, environ: dict[str, str], expected: str
) -> None:
    """Always absolute, so that a later chdir changes nothing."""
    chosen = choose_staging_dir(configured, environ, CWD)

    assert chosen == Path(expected)


def test_it_is_private_and_tells_others_to_keep_off(tmp_path: Path) -> None:
    """0700 under any umask, ignored by git, skipped by backups."""
    # F19, E9
    old = os.umask(0)
    try:
        layout = prepare_staging_dir(tmp_path / "a" / "b", Disk())
    finally:
        os.umask(old)

    assert layout.root.stat().st_mode & 0o777 == 0o700
    assert layout.partials.stat().st_mode & 0o777 == 0o700
    assert (layout.root / ".gitignore").read_text() == "*\n"
    assert (layout.root / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172")


def test_an_open_directory_is_closed(tmp_path: Path) -> None:
    """One of our own that others could enter is closed to them."""
    # F19
    tmp_path.chmod(0o755)

    prepare_staging_dir(tmp_path, Disk())

    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_preparing_again_changes_nothing(tmp_path: Path) -> None:
    """Files that are there are kept, also edited marks."""
    # E1
    layout = prepare_staging_dir(tmp_path, Disk())
    (layout.root / ".gitignore").write_text("mine")
    (layout.root / "kept").write_text("kept")

    prepare_staging_dir(tmp_path, Disk())

    assert (layout.root / ".gitignore").read_text() == "mine"
    assert (layout.root / "kept").read_text() == "kept"


def test_a_symlink_is_refused(tmp_path: Path) -> None:
    """Whoever planted it chose where the bytes go."""
    # F20
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")

    with pytest.raises(StagingDirRefused, match="symlink"):
        prepare_staging_dir(tmp_path / "link", Disk())

    assert list((tmp_path / "target").iterdir()) == []


def test_a_file_is_refused(tmp_path: Path) -> None:
    """There is no room in it."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(StagingDirRefused, match="is a file"):
        prepare_staging_dir(tmp_path / "file", Disk())


def test_another_users_directory_is_refused(tmp_path: Path) -> None:
    """Its owner could replace what is staged."""
    # F20
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    os.chown(tmp_path, 12345, -1)

    with pytest.raises(StagingDirRefused, match="12345"):
        prepare_staging_dir(tmp_path, Disk())

    assert list(tmp_path.iterdir()) == []
