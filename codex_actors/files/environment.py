"""Owns what every part of one tree of files is given: settings, directory, and the seams for tests.

Invariant: frozen and free of live state, so that a spec that holds it can be used many times. Must
not know any actor.
"""

import os
import random
from collections.abc import Callable, Iterable
from pathlib import Path

from attrs import field, frozen

from codex_actors.files.blocking import Blocking, Threads
from codex_actors.files.clock import Clock
from codex_actors.files.index.quota import Quota
from codex_actors.files.model import FilesConfig
from codex_actors.files.store.directory import choose_staging_dir
from codex_actors.files.store.disk import Disk
from codex_actors.files.store.layout import Layout
from codex_actors.files.telemetry import EventHandler, Events

__all__ = ["Environment", "Seams"]


@frozen(kw_only=True)
class Seams:
    """Where tests take the place of the world.

    Attributes:
        blocking: Runs what blocks; `Inline` under a virtual clock.
        clock: Tells when things expire.
        disk: Makes the system calls; None for the real ones.
        draw: Gives numbers drawn evenly from 0 to 1, for the pauses between retries.
    """

    blocking: Blocking = field(factory=Threads)
    clock: Clock = field(factory=Clock)
    disk: Disk | None = None
    draw: Callable[[], float] = random.random


@frozen
class Environment:
    """What the actors and the facade of one tree share.

    Attributes:
        config: Settings.
        root: The staging directory, absolute.
        blocking, clock, disk, draw: See `Seams`.
        events: Who is told.
    """

    config: FilesConfig
    root: Path
    blocking: Blocking
    clock: Clock
    disk: Disk
    events: Events
    draw: Callable[[], float] = random.random

    @property
    def layout(self) -> Layout:
        """Where things lie."""
        return Layout(self.root)

    @property
    def quota(self) -> Quota:
        """The limits."""
        return Quota(self.config.max_bytes, self.config.max_count)

    @classmethod
    def of(
        cls, config: FilesConfig | None, on_event: Iterable[EventHandler], seams: Seams | None
    ) -> "Environment":
        """Return the environment for settings, with the staging directory chosen now."""
        config = config or FilesConfig()
        seams = seams or Seams()
        return cls(
            config,
            choose_staging_dir(config.staging_dir, os.environ),
            seams.blocking,
            seams.clock,
            seams.disk or Disk(config.durability),
            Events(on_event),
            seams.draw,
        )
