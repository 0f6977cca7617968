"""Content-addressed blobs on disk: pure paths, and the effects that write, publish and remove them.

The manifest decides what is done here, inside its write transactions; nothing here knows it.
"""
