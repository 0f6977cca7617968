"""Owns how several trees become one.

Invariant: one tree is the root itself, so that paths have no prefix; of several, each is a
permanent child of a one_for_one root, in their order. Must not know what they do.
"""

from typing import TYPE_CHECKING

from attrs import frozen

from codex_actors import ChildSpec, DynamicSupervisor, Supervisor, SupervisorSpec
from codex_actors.control.process.trees import FILES, NamedTree, Spec

if TYPE_CHECKING:
    from codex_actors.files import Files
    from codex_actors.files.opening import PreparedFiles

__all__ = ["Root", "root_of"]


@frozen
class Root:
    """What is opened.

    Attributes:
        name: What the root is called.
        spec: The root.
        files: The tree of the files in it, None without one.
        is_files: Whether that is the root itself.
    """

    name: str
    spec: Spec
    files: "PreparedFiles | None"
    is_files: bool

    def files_of(self, supervisor: Supervisor | DynamicSupervisor) -> "Files | None":
        """Return the files over the running root, None without them."""
        if self.files is None:
            return None
        return self.files.over(supervisor if self.is_files else supervisor.subtree(FILES))


def root_of(trees: tuple[NamedTree, ...], files: "PreparedFiles | None") -> Root:
    """Return the root for trees, at least one.

    Args:
        trees: In the order of their start.
        files: The tree for the one that has no spec; None if there is none.
    """
    specs = [(tree.id, _spec_of(tree, files)) for tree in trees]
    if len(specs) == 1:
        ((name, spec),) = specs
        return Root(name, spec, files, is_files=files is not None)
    root = SupervisorSpec([ChildSpec(name, spec) for name, spec in specs])
    return Root("root", root, files, is_files=False)


def _spec_of(tree: NamedTree, files: "PreparedFiles | None") -> Spec:
    if tree.spec is not None:
        return tree.spec
    if files is None:
        raise TypeError("the tree of the files is given, and no files for it")
    return files.spec
