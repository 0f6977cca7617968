"""The settings: which value holds, where it came from, and what is refused."""

import math
import os
import re
from pathlib import Path

import pytest

from codex_actors.cli.errors import SettingsError
from codex_actors.cli.settings import SETTINGS, load_settings
from codex_actors.files import FilesConfig


def write(directory: Path, text: str, name: str = "codex_actors.toml") -> Path:
    """A config file as its user writes it."""
    path = directory / name
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    """They are those of FilesConfig, with the staging directory made absolute."""
    settings = load_settings({}, {}, lambda: tmp_path)

    assert settings.files_config() == FilesConfig(staging_dir=tmp_path / "_build" / "codex_files")
    assert settings.trees == ("files",)
    assert set(settings.sources) == {setting.key for setting in SETTINGS}
    assert set(settings.sources.values()) == {"default"}
    assert settings.config_file is None


def test_a_flag_before_the_environment_before_the_file(tmp_path: Path) -> None:
    """Each value knows where it came from."""
    path = write(tmp_path, 'default_ttl = "1h"\nmax_count = 3\nmax_transfers = 2\n')
    environ = {"CODEX_ACTORS_DEFAULT_TTL": "2h", "CODEX_ACTORS_MAX_COUNT": "4"}

    settings = load_settings({"default_ttl": "3h"}, environ, lambda: tmp_path)

    values = (settings.default_ttl, settings.max_count, settings.max_transfers)
    assert values == (3 * 3600, 4, 2)
    assert [settings.sources[key] for key in ("default_ttl", "max_count", "max_transfers")] == [
        "flag --default-ttl",
        "environment CODEX_ACTORS_MAX_COUNT",
        str(path),
    ]
    assert settings.config_file == path


def test_what_is_empty_is_not_set(tmp_path: Path) -> None:
    """An empty variable, a flag that was not given, no trees on the command line."""
    flags = {"staging_dir": None, "trees": (), "config_file": None}
    environ = {"CODEX_ACTORS_STAGING_DIR": "", "CODEX_ACTORS_CONFIG_FILE": ""}

    settings = load_settings(flags, environ, lambda: tmp_path)

    assert set(settings.sources.values()) == {"default"}


def test_paths_belong_to_who_names_them(tmp_path: Path) -> None:
    """Those of the file lie beside it, those of flags and variables in the working directory."""
    elsewhere = tmp_path / "etc"
    elsewhere.mkdir()
    path = write(elsewhere, 'staging_dir = "staged"\ncodex = "bin/codex"\n', "mine.toml")
    environ = {"CODEX_ACTORS_SOCKET": "run/socket", "CODEX_ACTORS_CONFIG_FILE": "etc/mine.toml"}

    settings = load_settings({}, environ, lambda: tmp_path)

    assert settings.config_file == path
    assert settings.staging_dir == elsewhere / "staged"
    assert settings.codex == str(elsewhere / "bin" / "codex")
    assert settings.socket == tmp_path / "run" / "socket"
    # A bare name is one to search for.
    assert load_settings({"codex": "codex-next"}, {}, lambda: tmp_path).codex == "codex-next"


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("default_ttl", "90", 90.0),
        ("default_ttl", "90s", 90.0),
        ("default_ttl", "5m", 300.0),
        ("default_ttl", "1.5h", 5400.0),
        ("default_ttl", "7D", 7 * 86_400.0),
        ("default_ttl", "inf", math.inf),
        ("drain_timeout", "0", 0.0),
        ("max_bytes", "1048576", 1 << 20),
        ("max_bytes", "10MiB", 10 << 20),
        ("max_bytes", "2G", 2 << 30),
        ("max_bytes", "2 gb", 2 * 10**9),
        ("max_bytes", "1.1k", 1126),
        ("max_bytes", "inf", None),
        ("max_count", "inf", None),
        ("max_count", "12", 12),
        ("trees", "files app:TREE,b=pkg.mod:make", ("files", "app:TREE", "b=pkg.mod:make")),
    ],
)
def test_text_is_read_as_people_write_it(
    tmp_path: Path, key: str, text: str, value: object
) -> None:
    """From the environment, and as text from the file, it means the same."""
    variable = f"CODEX_ACTORS_{key.upper()}"
    write(tmp_path, f"{key} = '{text}'\n")

    from_variable = load_settings({}, {variable: text}, lambda: Path("/nowhere"))
    from_file = load_settings({}, {}, lambda: tmp_path)

    assert getattr(from_variable, key) == value
    assert getattr(from_file, key) == value


def test_toml_values_need_no_text(tmp_path: Path) -> None:
    """Numbers, infinities and lists are taken as they are."""
    write(tmp_path, 'max_bytes = inf\nmax_count = 0\ndefault_ttl = 90\ntrees = ["a:B", "files"]\n')

    settings = load_settings({}, {"CODEX_ACTORS_MAX_QUEUED": "7"}, lambda: tmp_path)

    assert (settings.max_bytes, settings.max_count, settings.default_ttl) == (None, 0, 90.0)
    assert settings.trees == ("a:B", "files")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("\nstagin_dir = 'x'\n", r"toml:2: there is no setting 'stagin_dir', did you mean stagin"),
        ("[zebra]\nx = 1\n", r"toml:1: there is no setting 'zebra': remove it"),
        ("max_bytes = 'lots'\n", r"toml:1: max_bytes is 'lots': give bytes, 500K"),
        ("max_bytes = 1.5\n", r"toml:1: max_bytes is 1.5: give an integer"),
        ("\n\nmax_count = -1\n", r"toml:3: max_count is -1: give an integer of at least 0"),
        ("max_queued = inf\n", r"toml:1: max_queued is inf: give an integer of at least 0"),
        ("max_transfers = true\n", r"toml:1: max_transfers is True: give an integer"),
        ("default_ttl = 'soon'\n", r"toml:1: default_ttl is 'soon': give seconds, 90s"),
        ("default_ttl = nan\n", r"toml:1: default_ttl is nan: give seconds from 0"),
        ("sweep_interval = 0\n", r"toml:1: sweep_interval is 0: give a number of seconds above"),
        ("algorithm = 'blake2'\n", r"blake2': give blake3 or sha256, did you mean blake3\?"),
        ("trees = []\n", r"toml:1: trees is \[\]: give trees"),
        ("trees = [1]\n", r"toml:1: trees is \[1\]: give trees"),
        ("staging_dir = ''\n", r"toml:1: staging_dir is '': give a path"),
        ("socket = 3\n", r"toml:1: socket is 3: give a path, as text"),
        ("staging_dir = '~no-such-user/x'\n", r"home of a user that has none"),
        ("a = \n", r"is no TOML: .*line 1"),
        ("max_count = 1\nmax_count = 2\n", r"is no TOML: .*line 2"),
    ],
)
def test_what_the_file_says_wrongly_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    """With the file, the line and the way out."""
    path = write(tmp_path, text)

    with pytest.raises(SettingsError, match=complaint) as caught:
        load_settings({}, {}, lambda: tmp_path)

    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"CODEX_ACTORS_STAGIN_DIR": "x"}, "STAGIN_DIR, did you mean CODEX_ACTORS_STAGING_DIR?"),
        ({"CODEX_ACTORS_COLOR": "blue"}, "CODEX_ACTORS_COLOR is 'blue': give auto, always or nev"),
        ({"CODEX_ACTORS_MAX_TRANSFERS": "0"}, "CODEX_ACTORS_MAX_TRANSFERS is '0': give an integer"),
        ({"CODEX_ACTORS_CONFIG_FILE": "missing.toml"}, "missing.toml does not exist"),
    ],
)
def test_what_the_environment_says_wrongly_is_named(
    tmp_path: Path, environ: dict[str, str], complaint: str
) -> None:
    """By the name of the variable."""
    with pytest.raises(SettingsError) as caught:
        load_settings({}, environ, lambda: tmp_path)

    assert complaint in str(caught.value)


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    """Those of tests, the marks on a codex that we run, and those that are empty."""
    environ = {
        "CODEX_ACTORS_TEST_KILLS": "3",
        "CODEX_ACTORS_TURN": ":abc",
        "CODEX_ACTORS_NONSENSE": "",
        "CODEX_HOME": "/x",
    }

    assert load_settings({}, environ, lambda: tmp_path).max_count is None


def test_a_wrong_flag_is_named(tmp_path: Path) -> None:
    """As it stands on the command line."""
    with pytest.raises(SettingsError, match=r"^--staging-dir is '': give a path"):
        load_settings({"staging_dir": ""}, {}, lambda: tmp_path)


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    """It says what to run."""
    path = write(tmp_path, "max_count = 1\n")
    path.chmod(mode)

    with pytest.raises(SettingsError, match=f"mode {mode:04o}.*chmod go-w"):
        load_settings({}, {}, lambda: tmp_path)


@pytest.mark.parametrize("link", [False, True])
def test_a_file_of_another_user_is_refused(tmp_path: Path, link: bool) -> None:
    """Also a link that another user placed, wherever it leads."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    path = write(tmp_path, "max_count = 1\n", "mine.toml" if link else "codex_actors.toml")
    if link:
        path = tmp_path / "codex_actors.toml"
        path.symlink_to("mine.toml")
    os.chown(path, 12345, -1, follow_symlinks=False)

    with pytest.raises(SettingsError, match="belongs to user 12345"):
        load_settings({}, {}, lambda: tmp_path)


def test_a_link_of_ones_own_is_followed(tmp_path: Path) -> None:
    """Settings may be kept elsewhere; relative paths are those of the place of the link."""
    (tmp_path / "kept").mkdir()
    target = write(tmp_path / "kept", "staging_dir = 'staged'\n")
    (tmp_path / "codex_actors.toml").symlink_to(target)

    assert load_settings({}, {}, lambda: tmp_path).staging_dir == tmp_path / "staged"


@pytest.mark.parametrize("kind", ["directory", "fifo", "binary", "long"])
def test_what_is_no_file_of_settings_is_refused(tmp_path: Path, kind: str) -> None:
    """At once: a FIFO is not waited for."""
    path = tmp_path / "codex_actors.toml"
    match kind:
        case "directory":
            path.mkdir(mode=0o700)
        case "fifo":
            os.mkfifo(path, 0o600)
        case "binary":
            path.write_bytes(b"\xff")
            path.chmod(0o600)
        case _:
            write(tmp_path, "#" * (1 << 20) + "\n")

    with pytest.raises(SettingsError, match=r"codex_actors\.toml"):
        load_settings({}, {}, lambda: tmp_path)


def test_a_key_is_found_where_it_is_written(tmp_path: Path) -> None:
    """Quoted, or as a table; where it is not sure, the line is left out."""
    write(tmp_path, '# colour\n"colour" = 1\n')
    with pytest.raises(SettingsError, match=r"toml:2: there is no setting 'colour', did .* color"):
        load_settings({}, {}, lambda: tmp_path)

    write(tmp_path, 'algorithm = """\nblake = 1\n"""\nblake = 1\n')

    with pytest.raises(SettingsError, match=r"toml: there is no setting 'blake'"):
        load_settings({}, {}, lambda: tmp_path)


def test_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    """It matters to what is relative only."""

    def gone() -> Path:
        raise FileNotFoundError(2, "No such file or directory")

    assert load_settings({"staging_dir": str(tmp_path)}, {}, gone).staging_dir == tmp_path

    with pytest.raises(SettingsError, match=r"staging_dir is '_build/codex_files'.* is gone"):
        load_settings({}, {}, gone)
    with pytest.raises(SettingsError, match=r"config file mine\.toml .* is gone"):
        load_settings({"config_file": "mine.toml"}, {}, gone)


def test_every_setting_is_documented(tmp_path: Path) -> None:
    """With its default as one would set it; and nothing is documented that is not there."""
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    documented = re.findall(r"^\| `(\w+)` \| *([^|]*)\|", page, re.MULTILINE)

    assert [key for key, _ in documented] == [setting.key for setting in SETTINGS]
    for key, default in documented:
        if default.strip(" `"):
            environ = {f"CODEX_ACTORS_{key.upper()}": default.strip(" `")}
            here = load_settings({}, environ, lambda: tmp_path)
            assert getattr(here, key) == getattr(load_settings({}, {}, lambda: tmp_path), key), key
