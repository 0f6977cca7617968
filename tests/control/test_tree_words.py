"""How a word becomes a tree, and what is said when it does not."""

import re
import sys
from pathlib import Path

import process_trees
import pytest

from codex_actors.control.process.trees import NamedTree, TreeError, load_trees

_MODULE = "process_trees"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a directory with a package of one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        monkeypatch.delitem(sys.modules, name)
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "trees.py").write_text(
        "from process_trees import IDLE, make\nclass Space:\n    inner = IDLE\n"
    )
    (package / "broken.py").write_text("1 / 0\n")
    (package / "needy.py").write_text("import no_such_dependency\n")
    (package / "typo.py").write_text("def f(:\n")


def test_the_forms() -> None:
    """The files, a tree under its attribute's name or another, what a function returns."""
    trees = load_trees(
        ["files", "shop.trees:IDLE", "mine=shop.trees:make", "deep=shop.trees:Space.inner"]
    )

    assert trees == (
        NamedTree("files", None),
        NamedTree("idle", process_trees.IDLE),
        NamedTree("mine", process_trees.IDLE),
        NamedTree("deep", process_trees.IDLE),
    )


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("filess", "did you mean files?"),
        ("nonsense", "give files, package.module:TREE or name=package.module:TREE"),
        (":TREE", "give files"),
        ("shop.trees:", "give files"),
        ("=shop.trees:IDLE", "give files"),
        ("mine=files", "always called files"),
        ("a/b=shop.trees:IDLE", "cannot be called 'a/b'"),
        ("files=shop.trees:IDLE", "give another name"),
        ("shopp.trees:IDLE", "there is no module shopp, did you mean shop?"),
        ("shop.tree:IDLE", "there is no module shop.tree, did you mean shop.trees?"),
        ("shop.trees.more:IDLE", "there is no module shop.trees.more: shop.trees is no package"),
        ("zzzzqqq:IDLE", "there is no module zzzzqqq: is it in another directory?"),
        ("shop..trees:IDLE", "give files"),
        ("..shop:IDLE", "give files"),
        ("shop.needy:IDLE", "importing shop.needy raised ModuleNotFoundError: No module named"),
        ("shop.broken:IDLE", "raised ZeroDivisionError: division by zero (shop/broken.py, line 1)"),
        ("shop.typo:IDLE", "importing shop.typo raised SyntaxError"),
        ("shop.trees:IDEL", "shop.trees has no IDEL, did you mean IDLE?"),
        ("shop.trees:idle", "shop.trees has no idle, did you mean IDLE?"),
        ("shop.trees:Space.other", "shop.trees.Space has no other"),
        (f"{_MODULE}:NUMBER", "is an int: give a SupervisorSpec"),
        (f"{_MODULE}:Worker", "is the class Worker: give a SupervisorSpec"),
        (f"{_MODULE}:make_async", "is an async function"),
        (f"{_MODULE}:make_nothing", "returned None: have it return a SupervisorSpec"),
        (f"{_MODULE}:make_trouble", "calling it raised LookupError: nothing to be had ("),
    ],
)
def test_what_is_wrong_is_said(word: str, complaint: str) -> None:
    """The word, the part of it that is wrong, and what would be right; on one line."""
    with pytest.raises(TreeError, match=re.escape(complaint)) as caught:
        load_trees([word])

    assert str(caught.value).startswith(word)
    assert "\n" not in str(caught.value)


def test_two_of_a_name() -> None:
    """Children of one root have different names."""
    with pytest.raises(TreeError, match="two trees are called 'idle': name one of them"):
        load_trees(["shop.trees:IDLE", "idle=shop.trees:make"])
    with pytest.raises(TreeError, match="files is given twice"):
        load_trees(["files", "files"])


def test_a_working_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is imported from there, and what needs nothing from there is found."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    trees = load_trees(["files", f"{_MODULE}:IDLE"])

    assert [tree.id for tree in trees] == ["files", "idle"]
