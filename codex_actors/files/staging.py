"""Owns how a caller's source becomes an attachment: found, read together with others, or read.

Invariant: wrong input is refused before anything is touched; a caller who goes takes its transfer
with it, unless others wait for the same bytes. Must not know SQL or the disk.
"""

import errno
import itertools
import math
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trio
from attrs import define, field, frozen

from codex_actors import ActorDied, ActorRef, ActorStopped
from codex_actors.files import telemetry
from codex_actors.files.access import Access
from codex_actors.files.actors.stage import Collect, Known, StageJob
from codex_actors.files.actors.stage_small import SMALL_BYTES, CollectSmall, SmallJob
from codex_actors.files.blocking import CLEANUP_SECONDS
from codex_actors.files.content_type import validate_content_type
from codex_actors.files.errors import FilesError, InvalidName, SourceChanged, SourceNotReadable
from codex_actors.files.flights import Boarded, Flights, Launched
from codex_actors.files.index.staging import FindContent, FindStaged, Missed, Staged, StageRequest
from codex_actors.files.names import validate_name
from codex_actors.files.sources import (
    ByteSource,
    Feed,
    PathSource,
    StageSource,
    classify,
    open_feed,
)
from codex_actors.files.store.layout import Layout
from codex_actors.files.store.source import SourceIdentity
from codex_actors.files.tree import small_spec, stage_spec
from codex_actors.files.ttl import validate_ttl

__all__ = ["Stager", "Wanted"]

MOST_SHARING = 64  # small files in one transfer


@frozen(kw_only=True)
class Wanted:
    """What a caller asks of a staging; see `Files.stage`.

    Attributes:
        name, ttl, persist, content_type, verify: As given.
        lease: Take a lease of this name with the staging.
    """

    name: str | None = None
    ttl: float | None = None
    persist: bool = False
    content_type: str | None = None
    verify: bool = False
    lease: str | None = None


class _TryAlone(Exception):
    """What was read together with others is of no use to this one."""


@define(eq=False)
class _Sharing:
    """Small files that will share a transfer, by their places."""

    jobs: dict[int, SmallJob] = field(factory=dict[int, SmallJob])
    _places: Iterator[int] = field(factory=itertools.count)
    _leaving: list[trio.CancelScope] = field(factory=list[trio.CancelScope])
    begun: bool = False

    @property
    def companions(self) -> int:
        """Who waits, beside the one who waits for all."""
        return 0 if self.begun else max(len(self.jobs) - 1, 0)

    def add(self, job: SmallJob) -> int:
        """Take one more; return its place."""
        place = next(self._places)
        self.jobs[place] = job
        return place

    def leave(self, patience: trio.CancelScope) -> None:
        """Let one wait only as long as there is anyone for whom the transfer goes on."""
        self._leaving.append(patience)
        if len(self._leaving) >= len(self.jobs):
            for scope in self._leaving:
                scope.cancel()


class Stager:
    """Stages for one facade."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._flights = Flights()
        self._sharing: _Sharing | None = None

    async def stage(self, source: StageSource, wanted: Wanted) -> Staged:
        """Stage, and tell whoever listens when it failed; errors as in `Files.stage`."""
        environment = await self._access.environment()
        name = wanted.name
        try:
            ready = classify(source)
            if isinstance(ready, PathSource):
                _refuse_manifest(environment.layout, ready.path)
            if name is None:
                name = _name_of(ready)
            ttl = environment.config.default_ttl if wanted.ttl is None else wanted.ttl
            declared = wanted.content_type
            request = StageRequest(
                name=validate_name(name),
                ttl=validate_ttl(ttl),
                persist=wanted.persist,
                content_type=None if declared is None else validate_content_type(declared),
                algorithm=environment.config.algorithm,
                lease=wanted.lease,
            )
            if isinstance(ready, PathSource):
                return await self._stage_path(ready, request, verify=wanted.verify)
            if ready is not None:
                return await self._stage_bytes(ready, request, verify=wanted.verify)
            feed = open_feed(source, environment.blocking)
            job = StageJob(feed.source, request.algorithm, distrust=wanted.verify)
            return await self._transfer(job, request, feed)
        except FilesError as error:
            environment.events.emit(telemetry.failed("stage", error, name=name or ""))
            raise

    async def _stage_bytes(
        self, source: ByteSource, request: StageRequest, *, verify: bool
    ) -> Staged:
        if not verify and await self._is_to_share(None, len(source.data), request):
            with suppress(_TryAlone):
                return await self._transfer_small(SmallJob(source, request))
        return await self._transfer(StageJob(source, request.algorithm, distrust=verify), request)

    async def _stage_path(
        self, source: PathSource, request: StageRequest, *, verify: bool
    ) -> Staged:
        quota = (await self._access.environment()).quota
        if verify:
            return await self._transfer(StageJob(source, request.algorithm, distrust=True), request)
        find = FindStaged(source.path, request, quota)
        found = await self._access.perform(find)
        if isinstance(found, Missed):
            job = StageJob(source, request.algorithm, found.identity)
            with suppress(_TryAlone):
                if found.identity and await self._is_to_share(
                    found.identity, found.identity.size, request
                ):
                    return await self._transfer_small(SmallJob(source, request))
                return await self._transfer(job, request)
            found = await self._access.perform(find)
        if isinstance(found, Missed):
            found = await self._transfer(StageJob(source, request.algorithm), request)
        return found

    async def _is_to_share(
        self, identity: SourceIdentity | None, size: int, request: StageRequest
    ) -> bool:
        """Tell whether something small would wait for its turn, with nobody reading it already."""
        if size > SMALL_BYTES:
            return False
        if request.lease is not None:
            return False  # who takes one and goes must be able to undo it at once
        if self._flights.is_under_way((identity, request.algorithm)):
            return False
        return await self._access.is_crowded()

    async def _transfer_small(self, job: SmallJob) -> Staged:
        """Have a small file moved and published in one transfer with others that wait.

        Raises:
            _TryAlone: It cannot be told here what would become of it alone.
        """
        access = self._access
        environment = await access.environment()
        sharing = self._sharing
        if sharing is None:
            sharing = self._sharing = _Sharing()
        elif sharing.jobs:
            await access.refuse_when_busy()
        with self._counting(sharing):
            place = sharing.add(job)
        if len(sharing.jobs) >= MOST_SHARING:
            self._sharing = None

        async def launch() -> Launched:
            release = await access.take_slot()
            if self._sharing is sharing:
                self._sharing = None  # whoever comes now is too late for it
            with self._counting(sharing):
                sharing.begun = True
            try:
                spec = small_spec(environment, access.registry, dict(sharing.jobs))
                return Launched(await access.transfers.start_child(spec), release)
            except BaseException:
                release()
                raise

        try:
            async with self._flights.board(sharing, launch) as boarded:
                return await _collect_small(boarded.actor, sharing, place)
        finally:
            with self._counting(sharing):
                sharing.jobs.pop(place)  # it may not have begun

    @contextmanager
    def _counting(self, sharing: _Sharing) -> Generator[None]:
        """Keep the queue's number of callers true while those who share change."""
        before = sharing.companions
        yield
        self._access.companions += sharing.companions - before

    async def _transfer(
        self, job: StageJob, request: StageRequest, feed: Feed | None = None
    ) -> Staged:
        """Have bytes moved and published.

        Raises:
            _TryAlone: Somebody else's were, and they do not do.
        """
        access = self._access
        environment = await access.environment()

        async def launch() -> Launched:
            release = await access.take_slot()
            try:
                spec = stage_spec(environment, access.registry, job)
                return Launched(await access.transfers.start_child(spec), release)
            except BaseException:
                release()
                raise

        key = None if job.identity is None else (job.identity, job.algorithm)
        async with self._flights.board(key, launch) as boarded:
            if feed is not None:
                await feed.pump()
            answer = await _collect(boarded, request)
            if isinstance(answer, Known):
                known = FindContent(answer.checksum, request, environment.quota)
                answer = await access.perform(known)
            if answer is None:
                raise _TryAlone
            return answer


async def _collect(boarded: Boarded, request: StageRequest) -> Staged | Known | None:
    """Wait for the result; None when it is none for who joined."""
    actor, joined = boarded.actor, boarded.joined
    try:
        return await actor.call(Collect(request, joined), timeout=math.inf)
    except SourceChanged:
        if joined:
            return None  # while another one read it; this one may find it complete
        raise
    except ActorStopped as error:
        if error.ref.path != actor.path:
            raise
        with trio.move_on_after(CLEANUP_SECONDS, shield=True):
            await actor.wait_stopped()  # its partial file is gone then
        if joined:
            return None
        # Whether it died before or after it was asked is no matter to the caller.
        died = ActorDied(error.ref, error.reason)
        raise died from died.__cause__


async def _collect_small(actor: ActorRef, sharing: _Sharing, place: int) -> Staged:
    try:
        answer = await actor.call(CollectSmall(place), timeout=math.inf)
    except ActorStopped as error:
        if error.ref.path != actor.path:
            raise
        answer = None  # perhaps by the file of another one: alone it will be told
    except trio.Cancelled:
        # It cannot be taken out of what is done for all: when that is done, it is done.
        with trio.move_on_after(CLEANUP_SECONDS, shield=True) as patience:
            sharing.leave(patience)
            with suppress(ActorStopped, FilesError):
                await actor.call(CollectSmall(place), timeout=math.inf)
        raise
    if answer is None:
        raise _TryAlone
    return answer


def _refuse_manifest(layout: Layout, path: Path) -> None:
    # To close a file of SQLite's takes the locks away that this process holds on it.
    if layout.is_of_manifest(Path(os.path.normpath(path))):
        raise SourceNotReadable(
            errno.EACCES,
            f"{path} is the manifest of the staging directory itself, which others must not open:"
            " leave that directory out.",
            str(path),
        )


def _name_of(source: object) -> str:
    if isinstance(source, PathSource):
        return source.path.name
    raise InvalidName("Only a path has a name of its own: give what is staged a name (name=).")
