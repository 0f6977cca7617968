"""Owns the requests about what is staged: to stage, to look, to remove, to keep in order.

Invariant: what reads or writes file contents is an operation. The table of operations keeps figures
of what came of it, not lists as long as a store. Must not know uploads and turns.
"""

from pathlib import Path
from typing import Any

from codex_actors.control import messages
from codex_actors.control.choosing import choose
from codex_actors.control.service import Service
from codex_actors.control.session import Notify

__all__ = ["cleanup", "list_staged", "metrics", "remove", "reset", "show", "stage", "verify"]


async def stage(service: Service, request: messages.Stage, _notify: Notify) -> dict[str, Any]:
    """Stage one file."""
    files, name = service.files, request.name or Path(request.path).name
    with service.operations.admit("stage", name) as operation:
        attachment = await files.stage(
            Path(request.path),
            name=request.name,
            ttl=request.ttl,
            persist=request.persist,
            content_type=request.content_type,
            verify=request.verify,
        )
        operation.outcome = {"attachment": attachment.to_dict()}
        return operation.outcome


async def list_staged(
    service: Service, _request: messages.ListStaged, _notify: Notify
) -> dict[str, Any]:
    """Return what is staged."""
    attachments = await service.files.list_staged()
    return {"attachments": [attachment.to_dict() for attachment in attachments]}


async def show(service: Service, request: messages.Show, _notify: Notify) -> dict[str, Any]:
    """Return one attachment."""
    attachment = choose(await service.files.list_staged(), request.what)
    return {"attachment": attachment.to_dict()}


async def remove(service: Service, request: messages.Remove, _notify: Notify) -> dict[str, Any]:
    """Remove one attachment; return what it was."""
    files = service.files
    attachment = choose(await files.list_staged(), request.what)
    await files.remove(attachment)
    return {"attachment": attachment.to_dict()}


async def cleanup(service: Service, request: messages.Cleanup, _notify: Notify) -> dict[str, Any]:
    """Remove what has expired."""
    files = service.files
    with service.operations.admit("cleanup", "what has expired") as operation:
        report = await files.force_cleanup(dry_run=request.dry_run)
        operation.outcome = _figures(report.count, report.bytes, len(report.failed))
        return {"dry_run": request.dry_run, **report.to_dict()}


async def verify(service: Service, _request: messages.Verify, _notify: Notify) -> dict[str, Any]:
    """Read everything again."""
    files = service.files
    with service.operations.admit("verify", "everything") as operation:
        report = await files.verify()
        operation.outcome = {
            "checked": report.checked,
            "wrong": len(report.wrong),
            "quarantined": len(report.quarantined),
            "unknown": len(report.unknown),
        }
        return report.to_dict()


async def reset(service: Service, request: messages.Reset, _notify: Notify) -> dict[str, Any]:
    """Remove every attachment."""
    files = service.files
    with service.operations.admit("reset", "everything") as operation:
        report = await files.reset(force=request.force)
        operation.outcome = _figures(report.count, report.bytes, len(report.failed))
        return report.to_dict()


async def metrics(service: Service, _request: messages.Metrics, _notify: Notify) -> dict[str, Any]:
    """Count what is staged and under way."""
    return {"metrics": (await service.files.metrics()).to_dict()}


def _figures(count: int, size: int, failed: int) -> dict[str, Any]:
    return {"count": count, "bytes": size, "failed": failed}
