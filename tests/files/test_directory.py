"""The staging directory: which one, and whether it may be used."""

import os
from pathlib import Path

import pytest

from codex_actors.files import InvalidConfig, StagingDirRefused, open_files
from codex_actors.files.store.directory import choose_staging_dir, prepare_staging_dir
from codex_actors.files.store.disk import Disk

CWD = Path("/elsewhere")


@pytest.mark.parametrize(
    ("configured", "environ", "expected"),
    [
        (None, {}, "/elsewhere/_build/codex_files"),
        (None, {"CODEX_ACTORS_STAGING_DIR": ""}, "/elsewhere/_build/codex_files"),
        (None, {"CODEX_ACTORS_STAGING_DIR": "/var/staging"}, "/var/staging"),
        (Path("here"), {"CODEX_ACTORS_STAGING_DIR": "/var/staging"}, "/elsewhere/here"),
        (Path("/there"), {}, "/there"),
    ],
)
def test_the_setting_comes_before_the_environment_before_the_default(
    configured: Path | None, environ: dict[str, str], expected: str
) -> None:
    """Always absolute, so that a later chdir changes nothing."""
    chosen = choose_staging_dir(configured, environ, lambda: CWD)

    assert chosen == Path(expected)


def write(directory: Path, text: str) -> Path:
    """A config file as its user writes it."""
    path = directory / "codex_actors.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_the_config_file_comes_before_the_default(tmp_path: Path) -> None:
    """Relative to the file, wherever it is; what else it sets is ignored."""
    path = write(tmp_path, "staging_dir = 'staged'\ntrees = ['files']\n")
    named = {"CODEX_ACTORS_CONFIG_FILE": str(path)}

    assert choose_staging_dir(None, {}, lambda: tmp_path) == tmp_path / "staged"
    assert choose_staging_dir(None, named, lambda: CWD) == tmp_path / "staged"


def test_a_config_file_that_is_not_asked_is_not_read(tmp_path: Path) -> None:
    """Who names the directory has no trouble with a file that cannot be used."""
    write(tmp_path, "no TOML")
    environ = {"CODEX_ACTORS_STAGING_DIR": "here"}

    assert choose_staging_dir(None, environ, lambda: tmp_path) == tmp_path / "here"
    assert choose_staging_dir(Path("there"), {}, lambda: tmp_path) == tmp_path / "there"
    with pytest.raises(InvalidConfig, match="is no TOML"):
        choose_staging_dir(None, {}, lambda: tmp_path)


@pytest.mark.parametrize("value", ["''", "3", "['x']", "'~nobody-of-that-name/x'", '"a\\u0000"'])
def test_a_config_file_must_name_a_directory(tmp_path: Path, value: str) -> None:
    """What is no path is named with its place."""
    path = write(tmp_path, f"\nstaging_dir = {value}\n")

    with pytest.raises(InvalidConfig, match=f"^{path}"):
        choose_staging_dir(None, {}, lambda: tmp_path)


async def test_the_embedded_files_take_it_from_the_config_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the command line does, so that both mean the same directory."""
    write(tmp_path, "staging_dir = 'staged'\n")
    monkeypatch.delenv("CODEX_ACTORS_STAGING_DIR", raising=False)
    monkeypatch.chdir(tmp_path)

    async with open_files() as files:
        attachment = await files.stage(b"x", name="x")

    assert attachment.path.is_relative_to(tmp_path / "staged")


@pytest.mark.parametrize("home", ["~nobody-of-that-name", "~nobody-of-that-name/staging"])
@pytest.mark.parametrize("configured", [True, False])
def test_a_home_that_there_is_not_is_refused(home: str, *, configured: bool) -> None:
    """Named, with the way out, wherever the setting came from."""
    environ = {"CODEX_ACTORS_STAGING_DIR": home}

    with pytest.raises(StagingDirRefused, match=f"{home} .* without ~"):
        choose_staging_dir(Path(home) if configured else None, environ if not configured else {})


def test_a_working_directory_that_is_gone_matters_to_relative_paths_only(tmp_path: Path) -> None:
    """It is named as what is missing; an absolute path does not ask for it."""

    def gone() -> Path:
        raise FileNotFoundError(2, "No such file or directory")

    absolute = choose_staging_dir(tmp_path, {}, gone)

    with pytest.raises(StagingDirRefused, match=r"_build/codex_files .* is gone"):
        choose_staging_dir(None, {}, gone)
    assert absolute == tmp_path


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


def test_a_directory_of_something_else_is_not_touched(tmp_path: Path) -> None:
    """Neither its mode nor what it holds: a home or a repository is no place to stage in."""
    # F19
    (tmp_path / "code.py").write_text("x")
    (tmp_path / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n# pip")
    tmp_path.chmod(0o755)

    with pytest.raises(StagingDirRefused, match="name a new or empty one") as caught:
        prepare_staging_dir(tmp_path, Disk())

    assert str(tmp_path) in str(caught.value)
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["CACHEDIR.TAG", "code.py"]


@pytest.mark.parametrize("left", [[], ["CACHEDIR.TAG"], [".lock", "CACHEDIR.TAG", ".gitignore"]])
def test_what_was_left_half_prepared_is_taken(tmp_path: Path, left: list[str]) -> None:
    """By a process that was killed, or that is just at it: files of ours, still without text."""
    (tmp_path / ".partials").mkdir()
    for name in left:
        (tmp_path / name).touch()

    prepare_staging_dir(tmp_path, Disk())

    assert {".partials", "CACHEDIR.TAG", ".gitignore"} <= {path.name for path in tmp_path.iterdir()}


def test_one_that_lost_its_marks_is_known_by_its_manifest(tmp_path: Path) -> None:
    """What is staged there stays in reach."""
    layout = prepare_staging_dir(tmp_path, Disk())
    layout.manifest.touch()
    (tmp_path / "CACHEDIR.TAG").unlink()
    (tmp_path / ("a" * 64)).mkdir()

    assert prepare_staging_dir(tmp_path, Disk()) == layout


@pytest.mark.parametrize("below", ["staging", "a/b/staging"])
def test_a_file_among_its_parents_is_refused(tmp_path: Path, below: str) -> None:
    """The message says what stands in the way of the directory."""
    (tmp_path / "file").touch()

    with pytest.raises(StagingDirRefused, match=f"{below} cannot be created.* is a file"):
        prepare_staging_dir(tmp_path / "file" / below, Disk())


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


def test_marks_that_were_never_written_are_written_by_the_next_start(tmp_path: Path) -> None:
    """Their maker was killed between creating and writing; a user's own text stays."""
    prepare_staging_dir(tmp_path, Disk())
    tag = (tmp_path / "CACHEDIR.TAG").read_bytes()
    (tmp_path / "CACHEDIR.TAG").write_bytes(b"")
    (tmp_path / ".gitignore").write_bytes(b"*.tmp\n")

    prepare_staging_dir(tmp_path, Disk())

    assert (tmp_path / "CACHEDIR.TAG").read_bytes() == tag
    assert (tmp_path / ".gitignore").read_bytes() == b"*.tmp\n"
