"""Owns how text that comes from strangers is shown on one line.

Invariant: what comes out can be printed anywhere and steers no terminal. Knows no event.
"""

__all__ = ["one_line", "visible"]


def visible(text: str) -> str:
    """Return text without what would steer a terminal: names come from strangers."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else f"\\x{ord(char):02x}" for char in text
    )


def one_line(text: str) -> str:
    """Return it visible, and all blank space in it, line breaks too, as single spaces."""
    return visible(" ".join(text.split()))
