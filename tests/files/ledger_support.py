"""What may be found in a staging directory, by what its users told before they died."""

import json
import math
from pathlib import Path
from typing import Any

from attrs import define, field
from walk_support import Key

from codex_actors.files import Attachment


@define
class Ledger:
    """What was told so far.

    An attachment is in one of four states: it must be there until a moment, it must not be there,
    it may or may not be (a step was begun and not ended), or nothing was ever told of it.

    Attributes:
        until: When each attachment may be gone at the earliest (seconds since 1970).
        persistent: Those that never expire and are never evicted.
        absent: Attachments that were removed, or were seen not to be there.
        unsure: Attachments with which something was begun.
        doomed: Temporary ones, which must not outlive their process.
        told: Lines read.
    """

    until: dict[Key, float] = field(factory=dict[Key, float])
    persistent: set[Key] = field(factory=set[Key])
    absent: set[Key] = field(factory=set[Key])
    unsure: set[Key] = field(factory=set[Key])
    doomed: set[Key] = field(factory=set[Key])
    told: int = 0

    def read(self, path: Path) -> None:
        """Read what one process told; a line without an end was not."""
        for line in path.read_bytes().split(b"\n")[:-1]:
            self.told += 1
            self._take(json.loads(line))

    def _take(self, line: dict[str, Any]) -> None:
        if line["event"] == "open":
            return
        key: Key = (line["key"][0], line["key"][1])
        match line["event"]:
            case "staging":
                self.absent.discard(key)
                if key not in self.until:
                    self.unsure.add(key)
            case "staged":
                self.unsure.discard(key)
                until = math.inf if line["until"] is None else float(line["until"])
                self.until[key] = until
                if line["persist"]:
                    self.persistent.add(key)
            case "removing":
                self._forget(key)
                self.unsure.add(key)
            case "entered":
                if key not in self.until:
                    self._forget(key)
                    self.doomed.add(key)
            case "left":
                # One that was found after a kill between its link and its commit lives on.
                if key not in self.until:
                    self._forget(key)
                    self.absent.add(key)
            case "removed":
                self._forget(key)
                self.absent.add(key)
            case event:
                raise AssertionError(event)

    def _forget(self, key: Key) -> None:
        self.until.pop(key, None)
        self.persistent.discard(key)
        self.unsure.discard(key)
        self.doomed.discard(key)

    def lose_manifest(self, now: float, ttl: float) -> None:
        """What was known of the attachments is lost: all that is there lives on for a time."""
        expired = {key for key, until in self.until.items() if until <= now}
        self.until = dict.fromkeys(self.until.keys() - expired, now + ttl)
        self.persistent.clear()
        self.unsure |= self.doomed | expired
        self.doomed.clear()

    def check(self, listed: tuple[Attachment, ...], now: float, *, evicting: bool = False) -> None:
        """Nothing is lost, and nothing is there that was removed; then go on from what is there."""
        there = {attachment.key: attachment for attachment in listed}
        owed = self.persistent if evicting else self.until.keys()
        lost = [key for key in owed if self.until[key] > now and key not in there]
        assert lost == [], f"lost: {lost}"
        back = [key for key in self.absent | self.doomed if key in there]
        assert back == [], f"removed, and there again: {back}"
        unknown = there.keys() - self.until.keys() - self.unsure
        assert unknown == set(), f"never staged: {unknown}"
        for key in {*self.until, *self.unsure, *self.doomed} - there.keys():
            self._forget(key)
            self.absent.add(key)
        for key in self.unsure & there.keys():
            expires_at = there[key].expires_at
            self._forget(key)
            self.until[key] = math.inf if expires_at is None else expires_at.timestamp()
