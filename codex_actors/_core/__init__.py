"""The framework: supervision trees of actors on Trio.

Private: everything that users need is re-exported by `codex_actors`.
"""
