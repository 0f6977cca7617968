"""Owns how a word on the command line becomes a tree: `files`, `module:ATTR`, `name=module:ATTR`.

Invariant: a word either gives a spec or a `TreeError` that says which of its parts is wrong, and
what would be right. Imports what it is told to, which runs the user's code. Must not know what is
done with the trees.
"""

import difflib
import importlib
import inspect
import os
import pkgutil
import sys
import traceback
from collections.abc import Iterable
from typing import Any, TypeAlias

from attrs import frozen

from codex_actors import ChildSpec, DynamicSupervisorSpec, SpecError, SupervisorSpec

__all__ = ["FILES", "NamedTree", "Spec", "TreeError", "load_trees"]

Spec: TypeAlias = SupervisorSpec | DynamicSupervisorSpec

FILES = "files"
_FORMS = "give files, package.module:TREE or name=package.module:TREE"


class TreeError(Exception):
    """A word names no tree that could be run; the message says why, and what to do."""


@frozen
class NamedTree:
    """A tree to run.

    Attributes:
        id: What it is called.
        spec: The tree; None for that of the files, which is made of the settings.
    """

    id: str
    spec: Spec | None


def load_trees(words: Iterable[str]) -> tuple[NamedTree, ...]:
    """Return the trees that the words name, in their order; the working directory is importable.

    Raises:
        TreeError: A word is none of the forms, or what it names is not there, raises, or is no
            tree; or two are called the same.
    """
    _make_cwd_importable()
    trees: dict[str, NamedTree] = {}
    for word in words:
        tree = _load(word)
        if tree.id in trees:
            raise TreeError(
                f"two trees are called {tree.id!r}: name one of them, as in other={word}"
                if tree.id != FILES
                else "the tree files is given twice: give it once"
            )
        trees[tree.id] = tree
    return tuple(trees.values())


def _load(word: str) -> NamedTree:
    if word == FILES:
        return NamedTree(FILES, None)
    name, equals, place = word.rpartition("=")
    if equals and place == FILES:
        raise TreeError(f"{word}: the tree of the files is always called files: give files")
    module_name, colon, attribute = place.partition(":")
    is_dotted = all(part.isidentifier() for part in module_name.split("."))
    if not (colon and is_dotted and attribute) or (equals and not name):
        close = difflib.get_close_matches(word, [FILES], n=1)
        raise TreeError(f"{word}: {'did you mean files?' if close else _FORMS}")
    tree_id = name or attribute.rpartition(".")[2].lower()
    try:
        ChildSpec(tree_id, _nothing)
    except SpecError as error:
        raise TreeError(f"{word}: a tree cannot be called {tree_id!r}: {error}") from None
    if tree_id == FILES:
        raise TreeError(f"{word}: files is the tree of the files: give another name, as other=...")
    return NamedTree(tree_id, _spec_of(word, _find(word, _import(word, module_name), attribute)))


async def _nothing() -> None:
    """What a spec wants that is only made to have its id checked."""


def _import(word: str, name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise TreeError(
                f"{word}: there is no module {missing}{_nearest_module(missing)}"
            ) from (error)
        raise TreeError(f"{word}: importing {name} raised {_told(error)}") from error
    except (Exception, SystemExit) as error:
        raise TreeError(f"{word}: importing {name} raised {_told(error)}") from error


def _find(word: str, module: Any, path: str) -> object:
    found: Any = module
    done = module.__name__
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise TreeError(
                f"{word}: {done} has no {part or 'nameless attribute'}{_nearest(part, found)}"
            ) from None
        done = f"{done}.{part}"
    return found


def _spec_of(word: str, found: object) -> Spec:
    """Return the spec that something is, or returns."""
    if isinstance(found, Spec):
        return found
    if isinstance(found, type) or not callable(found):
        raise TreeError(
            f"{word} is {_a(found)}: give a SupervisorSpec, a DynamicSupervisorSpec or a function"
            " that returns one"
        )
    if inspect.iscoroutinefunction(found) or inspect.isasyncgenfunction(found):
        raise TreeError(f"{word} is an async function: give one without async; trees are only data")
    try:
        made = found()
    except (Exception, SystemExit) as error:
        raise TreeError(f"{word}: calling it raised {_told(error)}") from error
    if not isinstance(made, Spec):
        raise TreeError(
            f"{word} returned {_a(made)}: have it return a SupervisorSpec or DynamicSupervisorSpec"
        )
    return made


def _told(error: BaseException) -> str:
    """Return what was raised, and where in the user's code."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a stranger's error
        text = ""
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, SyntaxError):
        return said  # it says where
    walked = traceback.extract_tb(error.__traceback__)
    frames = [each for each in walked if not each.filename.startswith("<frozen")]
    if not frames or frames[-1].filename == __file__:
        return said
    return f"{said} ({os.path.relpath(frames[-1].filename)}, line {frames[-1].lineno})"


def _a(thing: object) -> str:
    if isinstance(thing, type):
        return f"the class {thing.__name__}"
    if thing is None:
        return "None"
    name = type(thing).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _nearest(name: str, owner: object) -> str:
    close = difflib.get_close_matches(name, [each for each in dir(owner) if each[0] != "_"], n=1)
    if not close:
        folded = {each.lower(): each for each in dir(owner)}
        close = [folded[name.lower()]] if name.lower() in folded else []
    return f", did you mean {close[0]}?" if close else ""


def _nearest_module(name: str) -> str:
    """Return a question that names the nearest module beside the one that is not there."""
    parent, _, last = name.rpartition(".")
    path: Iterable[str] | None = None
    if parent:
        path = getattr(sys.modules.get(parent), "__path__", None)
        if path is None:
            return f": {parent} is no package"
    known = [each.name for each in pkgutil.iter_modules(path)]
    close = difflib.get_close_matches(last, known, n=1)
    dotted = f"{parent}.{close[0]}" if parent and close else "".join(close)
    return f", did you mean {dotted}?" if close else ": is it in another directory?"


def _make_cwd_importable() -> None:
    """As `python -m` does it; an installed script has its own folder in that place."""
    if not sys.flags.safe_path and "" not in sys.path:
        try:
            cwd = os.getcwd()  # noqa: PTH109 - sys.path has strings
        except FileNotFoundError:
            return  # it is gone: nothing can be imported from there
        if cwd not in sys.path:
            sys.path.insert(0, cwd)
