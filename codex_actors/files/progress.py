"""Owns what is told of an upload while it runs, and the arithmetic of it.

Invariant: `acknowledged` never goes down, except that an upload that starts over at the target
starts at 0 again, with a higher `attempt`. Knows no clock and no upload.
"""

from collections.abc import Callable

from attrs import define, field, frozen

__all__ = ["Broadcast", "Meter", "Progress"]


@frozen(kw_only=True)
class Progress:
    """How far an upload is. Sizes are bytes, times seconds.

    Attributes:
        acknowledged: What the target has acknowledged, in this process or before it.
        total: The size of the file, 0 while it is being staged.
        rate: Acknowledged per second since this process began to send, 0 before the first.
        eta: When it will be done at that rate, None while there is no rate.
        attempt: 1, more when requests had to be repeated: the highest of those under way.
    """

    acknowledged: int = 0
    total: int = 0
    rate: float = 0.0
    eta: float | None = None
    attempt: int = 1


@define
class Meter:
    """Counts what was acknowledged.

    Attributes:
        total: The size of the file.
        started_at: When this process began to send.
        resumed: What had been acknowledged by then.
        acknowledged: What has been by now.
        attempt: See `Progress`.
    """

    total: int
    started_at: float
    resumed: int = 0
    acknowledged: int = 0
    attempt: int = 1

    def resume(self, acknowledged: int) -> None:
        """Begin with what an earlier process sent."""
        self.resumed = self.acknowledged = acknowledged

    def start_over(self) -> None:
        """Begin again: nothing that was acknowledged counts."""
        self.resume(0)
        self.attempt += 1

    def add(self, size: int) -> None:
        """Count one more part."""
        self.acknowledged += size

    def read(self, now: float) -> Progress:
        """Return the progress at a moment of the clock that `started_at` comes from."""
        elapsed = now - self.started_at
        sent = self.acknowledged - self.resumed
        rate = sent / elapsed if elapsed > 0 else 0.0
        return Progress(
            acknowledged=self.acknowledged,
            total=self.total,
            rate=rate,
            eta=(self.total - self.acknowledged) / rate if rate > 0 else None,
            attempt=self.attempt,
        )


@define(eq=False)
class Broadcast:
    """The progress of one upload, told to any number of watchers.

    Attributes:
        last: What was told last.
    """

    last: Progress
    _watchers: dict[object, Callable[[Progress], object]] = field(
        factory=dict[object, Callable[[Progress], object]]
    )

    def tell(self, progress: Progress) -> None:
        """Tell all who watch."""
        self.last = progress
        for watcher in tuple(self._watchers.values()):
            watcher(progress)

    def watch(self, watcher: Callable[[Progress], object]) -> Callable[[], None]:
        """Call `watcher`, which must not raise, from now on; return what ends that."""
        key = object()
        self._watchers[key] = watcher

        def unwatch() -> None:
            self._watchers.pop(key, None)

        return unwatch
