"""Owns the asking side of uploads: what is refused at once, and who joins whom.

Invariant: limits and credentials are checked before anything is queued or sent; whoever waits holds
a lease of a file that is what was staged; who goes last ends the upload, and waits for that. Must
not know how anything is sent.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, TypeAlias
from weakref import WeakKeyDictionary

import trio
from attrs import Attribute, field, frozen

from codex_actors import ActorDied, ActorRef, ActorStopped
from codex_actors.files import telemetry
from codex_actors.files.access import Access
from codex_actors.files.actors.upload import CLEANUP_SECONDS, CollectUpload
from codex_actors.files.errors import FilesError, InvalidConfig, TargetLimitExceeded
from codex_actors.files.flights import Flights, Launched
from codex_actors.files.index.leasing import ReleaseLease
from codex_actors.files.index.uploads import UploadKey
from codex_actors.files.leases import new_lease, take_lease
from codex_actors.files.model import Attachment, UploadedFile
from codex_actors.files.progress import Broadcast, Progress
from codex_actors.files.retry import Retry
from codex_actors.files.targets.protocol import Target
from codex_actors.files.tree import upload_spec
from codex_actors.files.undertaking import UploadJob

__all__ = ["UploadRequest", "Uploader", "Verify", "Watcher"]

Verify: TypeAlias = Literal["quick", "full"]
Watcher: TypeAlias = Callable[[Progress], object]


def _quick_or_full(_instance: Any, _attribute: "Attribute[Any]", value: Any) -> None:
    if value not in {"quick", "full"}:
        raise InvalidConfig(f'verify is {value!r}: give "quick" or "full".')


def _retry(_instance: Any, _attribute: "Attribute[Any]", value: Any) -> None:
    if not isinstance(value, Retry):
        raise TypeError(f"retry is {value!r}: give Retry(attempts=..., ...), or leave it out.")


def _target(_instance: Any, _attribute: "Attribute[Any]", value: Any) -> None:
    if isinstance(value, type) or not callable(getattr(value, "open_session", None)):
        # Not shown: it might be what was meant as its credential.
        kind = value.__name__ if isinstance(value, type) else f"of type {type(value).__name__}"
        raise TypeError(f"target is {kind}: give a target, for example DirectoryTarget(path).")


@frozen(kw_only=True)
class UploadRequest:
    """How an upload is wanted, whatever its source; see `Files.upload`."""

    target: Target = field(validator=_target)
    retry: Retry = field(validator=_retry)
    verify: Verify = field(validator=_quick_or_full)


class Uploader:
    """Uploads for one facade."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._flights = Flights(grace=CLEANUP_SECONDS)
        self._news: WeakKeyDictionary[ActorRef, Broadcast] = WeakKeyDictionary()

    async def upload(
        self, attachment: Attachment, request: UploadRequest, watcher: Watcher | None
    ) -> UploadedFile:
        """Upload it, or wait for whoever does; errors as in `Files.upload`."""
        access, target = self._access, request.target
        events = (await access.environment()).events
        lease = new_lease()
        try:
            _check_limits(attachment, target)
            key = UploadKey(attachment.checksum, target.name, target.account())
            async with access.undoing(ReleaseLease(lease)):
                full = request.verify == "full"
                attachment = await take_lease(access, lease, attachment, distrust=full)
                return await self._join(key, attachment, request, watcher)
        except FilesError as error:
            events.emit(telemetry.failed("upload", error, name=attachment.name))
            raise

    async def _join(
        self,
        key: UploadKey,
        attachment: Attachment,
        request: UploadRequest,
        watcher: Watcher | None,
    ) -> UploadedFile:
        access = self._access
        environment = await access.environment()

        async def launch() -> Launched:
            release = await access.take_slot()
            try:
                news = Broadcast(Progress(total=attachment.size))
                job = UploadJob(key, attachment, request.target, request.retry, news)
                spec = upload_spec(environment, access.registry, job)
                actor = await access.transfers.start_child(spec)
            except BaseException:
                release()
                raise
            self._news[actor] = news
            return Launched(actor, release)

        async with self._flights.board(key, launch) as boarded:
            news = self._news[boarded.actor]
            if watcher is None:
                return await _collect(boarded.actor)
            return await _collect_and_tell(boarded.actor, news, watcher)


async def _collect(actor: ActorRef) -> UploadedFile:
    try:
        return await actor.call(CollectUpload(), timeout=math.inf)
    except ActorStopped as error:
        if error.ref.path != actor.path:
            raise
        with trio.move_on_after(CLEANUP_SECONDS, shield=True):
            await actor.wait_stopped()  # the remote upload is given up then
        died = ActorDied(error.ref, error.reason)
        raise died from died.__cause__  # noqa: ASYNC104 - in place of an ActorStopped only


async def _collect_and_tell(actor: ActorRef, news: Broadcast, watcher: Watcher) -> UploadedFile:
    """Wait, telling how far it is; what `watcher` raises passes unchanged."""
    failures: list[Exception] = []
    with trio.CancelScope() as scope:

        def tell(progress: Progress) -> None:
            if failures:
                return
            try:
                watcher(progress)
            except Exception as error:  # noqa: BLE001 - it is raised to whoever gave the watcher
                failures.append(error)
                scope.cancel()

        unwatch = news.watch(tell)
        try:
            tell(news.last)
            return await _collect(actor)
        finally:
            unwatch()
    raise failures[0]


def _check_limits(attachment: Attachment, target: Target) -> None:
    limits, size = target.limits, attachment.size
    if size > limits.max_bytes:
        raise TargetLimitExceeded(
            f"The file {attachment.name!r} has {size} bytes, and {target.name} takes at most"
            f" {limits.max_bytes}: split it, or choose another target."
        )
    if size < limits.min_bytes:
        raise TargetLimitExceeded(
            f"The file {attachment.name!r} has {size} bytes, and {target.name} takes none of less"
            f" than {limits.min_bytes}: send it to no target, or put something into it."
        )
