"""Owns the operations by which everything that is listed is read again.

Invariant: what is read is judged outside of transactions; a verdict counts only for the file with
the seal that was read, so what changed meanwhile is read again. Knows no Trio.
"""

from pathlib import Path

from attrs import frozen

from codex_actors.files.index.transaction import Transaction
from codex_actors.files.index.trust import Doubts, Standing, lose, standing
from codex_actors.files.model import Attachment
from codex_actors.files.store.seal import Suspect, Verdict

__all__ = ["CHUNK", "FIRST", "ListSuspects", "SettleVerdicts", "Settlement"]

CHUNK = 64

Key = tuple[str, str]
FIRST: Key = ("", "")


@frozen
class ListSuspects:
    """The next attachments after a key, to be read."""

    after: Key = FIRST
    writes: bool = False

    def apply(self, transaction: Transaction) -> tuple[Suspect, ...]:
        """Carry it out."""
        rows = transaction.rows(
            "WHERE (a.checksum, a.name) > (?, ?) ORDER BY a.checksum, a.name LIMIT ?",
            *self.after,
            CHUNK,
        )
        return tuple(row.suspect for row in rows)


@frozen
class Settlement:
    """What verdicts led to.

    Attributes:
        checked: How many attachments were judged.
        wrong: Those whose file was wrong or gone.
        quarantined: Where the files lie now.
        doubts: Those that changed meanwhile.
    """

    checked: int
    wrong: tuple[Attachment, ...]
    quarantined: tuple[Path, ...]
    doubts: Doubts


@frozen
class SettleVerdicts:
    """Renew the seals of what is genuine; take what is wrong off the list, and quarantine it."""

    verdicts: tuple[Verdict, ...]
    writes: bool = True

    def apply(self, transaction: Transaction) -> Settlement:
        """Carry it out."""
        checked = 0
        wrong: list[Attachment] = []
        quarantined: list[Path] = []
        doubtful: list[Suspect] = []
        for verdict in self.verdicts:
            suspect = verdict.suspect
            row = transaction.row(suspect.checksum, suspect.name)
            if row is None:
                continue  # removed meanwhile
            found = standing(transaction, row, (verdict,), distrust=True)
            if found is Standing.SUSPECT:
                doubtful.append(suspect)
                continue
            checked += 1
            if found is not Standing.SOUND:
                wrong.append(row.attachment(transaction.layout))
                moved = lose(transaction, row)
                if moved is not None:
                    quarantined.append(moved)
        return Settlement(checked, tuple(wrong), tuple(quarantined), Doubts(tuple(doubtful)))
