"""What a staging directory is to hold, as a model: sets and arithmetic, no disk and no tasks.

It says in a page what manifest, store, registry and sweeper do together. Moments are milliseconds.
"""

from attrs import define, field, frozen

from codex_actors.files import (
    AttachmentLeased,
    AttachmentNotFound,
    ChecksumMismatch,
    QuotaExceeded,
)
from codex_actors.files.store.hashing import hasher

__all__ = ["TYPES", "Entry", "Key", "Limits", "Model", "checksum_of"]

# What a name without a declared type is said to be.
TYPES = {"a.txt": "text/plain", "b.csv": "text/csv"}

SWEEP_INTERVAL = 60_000

Key = tuple[bytes, str]


def checksum_of(content: bytes) -> str:
    """The address of a content."""
    state = hasher("blake3")
    state.update(content)
    return state.hexdigest()


@frozen
class Limits:
    """The quota; None for none."""

    max_bytes: int | None = None
    max_count: int | None = None


@frozen
class Entry:
    """An attachment."""

    content: bytes
    name: str
    content_type: str
    persist: bool
    inserted_at: int
    expires_at: int | None

    @property
    def key(self) -> Key:
        """What tells it from others."""
        return (self.content, self.name)

    @property
    def age(self) -> tuple[int, str, str]:
        """Where it stands among the others, the least recently staged first."""
        return (self.inserted_at, checksum_of(self.content), self.name)


@define
class Model:
    """A staging directory, whatever happens to it.

    Attributes:
        limits: The quota.
        now: The moment.
        entries: What is listed.
        gone: Of those, whose files are gone.
        wrong: Of those, whose files hold other bytes.
        lost: What was listed until it was found to be wrong.
        leases: Who holds what.
        ticks: When each open tree was opened: it sweeps every minute from then on.
        hits, misses: For each open tree.
        removed: What was removed since this was last emptied, in order.
    """

    limits: Limits
    now: int
    entries: dict[Key, Entry] = field(factory=dict[Key, Entry])
    gone: set[Key] = field(factory=set[Key])
    wrong: set[Key] = field(factory=set[Key])
    lost: dict[Key, Entry] = field(factory=dict[Key, Entry])
    leases: dict[int, Key] = field(factory=dict[int, Key])
    ticks: dict[int, int] = field(factory=dict[int, int])
    hits: dict[int, int] = field(factory=dict[int, int])
    misses: dict[int, int] = field(factory=dict[int, int])
    removed: list[Key] = field(factory=list[Key])

    def listing(self) -> list[Entry]:
        """All entries in order."""
        return sorted(self.entries.values(), key=lambda entry: entry.age)

    def open(self, tree: int) -> None:
        """A tree starts, or its registry anew: it sweeps and counts from now on."""
        self.ticks[tree] = self.now
        self.hits[tree] = self.misses[tree] = 0

    def stage(
        self, tree: int, key: Key, ttl: float, *, persist: bool, declared: str | None
    ) -> Entry:
        """Stage, refresh or refuse."""
        content, name = key
        back = self._found_again(content)
        old = self.entries.get(key) or back.get(key)
        others = {other: entry for other, entry in back.items() if other != key}
        new = key not in self.entries
        try:
            if new or others:
                self._make_room(key, len(others) + new)
        except QuotaExceeded:
            if not others:
                raise
            others = {}  # they do not stand in the way
            if new:
                self._make_room(key, 1)
        self.lost = {other: entry for other, entry in self.lost.items() if other[0] != content}
        cached = any(self.whole(other) for other in self.entries if other[0] == content)
        forever = persist or ttl == float("inf")
        expires_at = None if forever else self.now + round(ttl * 1000)
        if old is not None:
            persist = persist or old.persist
            declared = declared or old.content_type
            if old.expires_at is None:
                expires_at = None
            elif expires_at is not None:
                expires_at = max(old.expires_at, expires_at)
        entry = Entry(content, name, declared or TYPES[name], persist, self.now, expires_at)
        self.entries |= others | {key: entry}
        self._mend(content)
        self.hits[tree] += cached
        self.misses[tree] += not cached
        return entry

    def _found_again(self, content: bytes) -> dict[Key, Entry]:
        """What comes back with its content."""
        return {
            key: entry
            for key, entry in self.lost.items()
            if key[0] == content and not self._has_expired(entry)
        }

    def _mend(self, content: bytes) -> None:
        """The right bytes are there again, under all their names."""
        self.gone = {key for key in self.gone if key[0] != content}
        self.wrong = {key for key in self.wrong if key[0] != content}

    def _make_room(self, key: Key, new: int) -> None:
        """Evict the least recently staged, as few as it takes, or refuse."""
        limits, content = self.limits, key[0]
        blobs = {other for other, _ in self.entries}
        count = over = 0
        if limits.max_count is not None:
            count = len(self.entries) + new - limits.max_count
        if limits.max_bytes is not None:
            over = sum(map(len, blobs | {content})) - limits.max_bytes
        evictable = [entry.key for entry in self.listing() if self._may_be_evicted(entry)]
        evictable = [other for other in evictable if other != key]
        for number in range(len(evictable) + 1):
            chosen = evictable[:number]
            freed = blobs - {other for other, _ in self.entries.keys() - chosen} - {content}
            if number >= count and sum(map(len, freed)) >= over:
                # Whose going makes no room may stay.
                useful = [other for other in chosen if other[0] in freed and other[0]]
                rest = [other for other in chosen if other not in useful]
                self._remove(useful + rest[: max(0, count - len(useful))])
                return
        raise QuotaExceeded

    def _may_be_evicted(self, entry: Entry) -> bool:
        return not entry.persist and entry.key not in self.leases.values()

    def whole(self, key: Key) -> bool:
        """Tell whether there is an attachment with its file."""
        return key in self.entries and key not in self.gone | self.wrong

    def lease(self, lease: int, key: Key) -> None:
        """Take a lease, or refuse."""
        if key in self.wrong:
            self._lose(key)
            raise ChecksumMismatch("wrong", quarantined=None)
        if not self.whole(key):
            raise AttachmentNotFound
        self.leases[lease] = key

    def release(self, lease: int, *, temporary: bool) -> None:
        """End a lease; with a temporary one goes its attachment, if nobody else wants it."""
        key = self.leases.pop(lease, None)
        if key is None or not temporary or key not in self.entries:
            return
        if self._has_expired(self.entries[key]) and key not in self.leases.values():
            self._remove([key])

    def remove(self, key: Key) -> None:
        """Remove one, or refuse."""
        if key not in self.entries:
            self.lost.pop(key, None)  # nor does it come back
            raise AttachmentNotFound
        if key in self.leases.values():
            raise AttachmentLeased
        self._remove([key])

    def expired(self) -> list[Key]:
        """What a sweep takes now."""
        return [
            entry.key
            for entry in self.entries.values()
            if self._has_expired(entry) and entry.key not in self.leases.values()
        ]

    def sweep(self) -> list[Key]:
        """Take it."""
        self.lost = {key: entry for key, entry in self.lost.items() if not self._has_expired(entry)}
        expired = self.expired()
        self._remove(expired)
        return expired

    def reset(self, *, force: bool) -> None:
        """Remove everything, or refuse."""
        if self.leases and not force:
            raise AttachmentLeased
        self.lost.clear()
        self._remove(list(self.entries))

    def wait(self, seconds: int) -> None:
        """Let time pass, and the trees sweep."""
        end = self.now + seconds * 1000
        while self.ticks:
            following = min(
                opened + ((self.now - opened) // SWEEP_INTERVAL + 1) * SWEEP_INTERVAL
                for opened in self.ticks.values()
            )
            if following > end:
                break
            self.now = following
            self.sweep()
        self.now = end

    def damage(self, key: Key, *, deleted: bool) -> None:
        """Somebody deletes a file, or writes to one, which is all the names of its content."""
        if deleted:
            self.gone.add(key)
            self.wrong.discard(key)
        else:
            names = {other for other in self.entries if other[0] == key[0]}
            self.wrong |= names - self.gone

    def verify(self) -> tuple[int, set[Key]]:
        """Take what is not there or not right off the list; how much was read, and what went."""
        checked, bad = len(self.entries), self.gone | self.wrong
        for key in bad:
            self._lose(key)
        return checked, bad

    def _lose(self, key: Key) -> None:
        self.lost[key] = self.entries.pop(key)
        self.gone.discard(key)
        self.wrong.discard(key)

    def _has_expired(self, entry: Entry) -> bool:
        return entry.expires_at is not None and entry.expires_at <= self.now

    def _remove(self, keys: list[Key]) -> None:
        for key in keys:
            del self.entries[key]
            self.gone.discard(key)
            self.wrong.discard(key)
            self.leases = {lease: held for lease, held in self.leases.items() if held != key}
        self.removed += keys
