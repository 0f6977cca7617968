"""Owns the supervision tree of the files, as one literal. Start reading here.

    root  (rest_for_one)
    ├── registry   AttachmentRegistry   permanent   owns the manifest and the dedup index
    ├── sweeper    Sweeper              permanent   removes what expired, collects the dead
    └── transfers  DynamicSupervisor    permanent   one temporary child per operation in flight
        ├── stage-…  StageActor         temporary   source -> partial file -> published blob
        ├── stages-… SmallStageActor    temporary   the same for several small files at once
        └── upload-… UploadActor        temporary   blob -> parts -> remote file

Invariant: a crash of the registry stops, and so cleans up, every transfer and the sweeper before a
new registry starts; a crash of one transfer touches nothing else. Must not know what the actors do.
"""

import math
from collections.abc import Callable, Iterable, Mapping

from codex_actors import (
    Actor,
    ActorRef,
    ChildSpec,
    DynamicSupervisorSpec,
    Restart,
    Shutdown,
    Strategy,
    SupervisorSpec,
)
from codex_actors.files.actors.registry import AttachmentRegistry
from codex_actors.files.actors.stage import StageJob, stage
from codex_actors.files.actors.stage_small import SmallJob, stages
from codex_actors.files.actors.sweeper import Sweeper
from codex_actors.files.actors.upload import CLEANUP_SECONDS, upload
from codex_actors.files.environment import Environment, Seams
from codex_actors.files.model import FilesConfig
from codex_actors.files.telemetry import EventHandler
from codex_actors.files.undertaking import UploadJob

__all__ = ["files_spec", "small_spec", "stage_spec", "tree_of", "upload_spec"]


def files_spec(
    config: FilesConfig | None = None,
    *,
    on_event: Iterable[EventHandler] = (),
    seams: Seams | None = None,
) -> SupervisorSpec:
    """Return the tree that manages one staging directory, to be put under any supervisor.

    The directory is chosen now, from the settings, the environment or the working directory; it is
    touched when the tree starts, which fails with a `FilesError` if it cannot be used.

    Args:
        config: Settings.
        on_event: Callables that get every event; more can be attached to `Files.events`.
        seams: What tests put in place of threads, clock and disk.
    """
    return tree_of(Environment.of(config, on_event, seams))


def tree_of(environment: Environment) -> SupervisorSpec:
    """Return the tree for an environment; see `files_spec`."""
    return SupervisorSpec(
        [
            # Callers that wait for their answers are bound enough; what is owed must always fit.
            ChildSpec(
                "registry", AttachmentRegistry, args=(environment,), mailbox_capacity=math.inf
            ),
            ChildSpec("sweeper", Sweeper, args=(environment,)),
            ChildSpec("transfers", DynamicSupervisorSpec()),
        ],
        strategy=Strategy.REST_FOR_ONE,
    )


def stage_spec(environment: Environment, registry: ActorRef, job: StageJob) -> ChildSpec:
    """Return the child that carries out one staging, under `transfers`.

    It has no grace: there is no half of a staging worth waiting for, and its cleanup is its own.
    """
    return _transfer(stage, environment, registry, job)


def small_spec(
    environment: Environment, registry: ActorRef, jobs: Mapping[int, SmallJob]
) -> ChildSpec:
    """Return the child that carries out several small stagings, under `transfers`."""
    return _transfer(stages, environment, registry, jobs)


def upload_spec(environment: Environment, registry: ActorRef, job: UploadJob) -> ChildSpec:
    """Return the child that carries out one upload, under `transfers`.

    Asked to stop, it stops sending at once; its cleanup then gives up the remote upload.
    """
    return _transfer(upload, environment, registry, job, cleanup_timeout=CLEANUP_SECONDS)


def _transfer(
    start: Callable[..., Actor], *args: object, cleanup_timeout: float = 5.0
) -> ChildSpec:
    return ChildSpec(
        None,
        start,
        args=args,
        restart=Restart.TEMPORARY,
        shutdown=Shutdown.BRUTAL_KILL,
        cleanup_timeout=cleanup_timeout,
    )
