"""How attachments look, and what is left to say when some were removed.

Documents in, as supervisors answer them.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from codex_actors.cli.errors import print_error
from codex_actors.cli.exit_codes import OK, PARTIAL
from codex_actors.cli.tables import print_table
from codex_actors.cli.units import human_bytes
from codex_actors.files import Attachment
from codex_actors.telemetry.text import duration

Document = dict[str, Any]

_DIGITS = 12


def print_attachments(documents: Iterable[Document], empty: str = "") -> None:
    """Print attachments as a table, or a sentence when there are none."""
    print_table(
        ("NAME", ">SIZE", "TYPE", "CHECKSUM", "EXPIRES"),
        [
            (
                attachment.name,
                human_bytes(attachment.size),
                attachment.content_type,
                attachment.checksum[:_DIGITS],
                _expiry(attachment),
            )
            for attachment in map(Attachment.from_dict, documents)
        ],
        empty,
    )


def print_attachment(document: Document) -> None:
    """Print all that there is to say of one."""
    attachment = Attachment.from_dict(document)
    print_table(
        ("ATTACHMENT", attachment.name),
        [
            ("size", f"{attachment.size:,} bytes ({human_bytes(attachment.size)})"),
            ("type", attachment.content_type),
            (attachment.algorithm, attachment.checksum),
            ("staged", f"{attachment.inserted_at:%Y-%m-%d %H:%M:%S} UTC"),
            ("expires", _expiry(attachment)),
            ("path", str(attachment.path)),
        ],
    )


def print_removed(report: Document, verb: str, empty: str) -> None:
    """Print what went, and what that amounts to.

    Args:
        report: the document of a `CleanupReport`.
        verb: for the amount.
        empty: what to say when nothing went.
    """
    print_attachments(report["attachments"], empty)
    if report["count"]:
        print(f"{verb} {human_bytes(report['bytes'])} in {report['count']}")  # noqa: T201 - output


def complain(report: Document, way_out: str) -> int:
    """Print what could not be deleted; return the exit code that says so."""
    for attachment in report["failed"]:
        print_error(f"{attachment['path']} could not be deleted; {way_out}")
    return PARTIAL if report["failed"] else OK


def _expiry(attachment: Attachment) -> str:
    """When an attachment may go, as people say it."""
    if attachment.persist:
        return "never (persistent)"
    if attachment.expires_at is None:
        return "never"
    left = (attachment.expires_at - datetime.now(UTC)).total_seconds()
    return f"in {duration(left)}" if left > 0 else "at the next sweep"
