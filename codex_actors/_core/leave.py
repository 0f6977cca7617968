"""On whose behalf, and how kindly, a child is made to end."""

import enum


class Leave(enum.IntEnum):
    """On whose behalf an incarnation is asked to end; the greater one rules."""

    NO = 0
    REF = 1
    RESTART = 2
    TERMINATE = 3
    SHUTDOWN = 4


class Manner(enum.IntEnum):
    """How a child is made to end, from the kindest to the harshest."""

    DRAIN = 0
    STOP = 1
    CANCEL = 2
