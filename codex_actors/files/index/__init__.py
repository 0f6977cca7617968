"""The durable manifest: which attachments there are, until when, and who uses them.

Operations are data with an `apply`; one transaction carries out a batch of them, together with what
they do to the blobs on disk. Several processes may do so at once. Nothing here knows Trio.
"""
