"""Owns the attachments of one turn while it runs: their leases, the plan, the links.

Invariant: every attachment is leased and judged before the turn, or the turn is refused; the links
go before the leases, except those of images, whose leases may go sooner. Must not know how a turn
is run.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Protocol, final
from urllib.parse import urlsplit

import trio

from codex_actors.codex.errors import DeliveryError
from codex_actors.codex.inspection import inspect_attachment
from codex_actors.codex.links import open_links
from codex_actors.codex.manifest import prompt_with_manifest
from codex_actors.codex.routing import Delivery, Route, plan_delivery
from codex_actors.files import Attachment, AttachmentNotFound

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

__all__ = ["Leaser", "OpenDelivery", "check_kind", "open_delivery"]


class Leaser(Protocol):
    """The part of `codex_actors.files.Files` that a turn needs."""

    def lease(self, attachment: Attachment, /) -> AbstractAsyncContextManager[object]:
        """Keep the attachment's file in place while the block runs."""
        ...


@final
class OpenDelivery:
    """Attachments that are leased and laid out. Obtained from `open_delivery`.

    Attributes:
        deliveries: One for each attachment, in order.
    """

    def __init__(
        self, deliveries: Sequence[Delivery], directory: Path, leases: Sequence[AsyncExitStack]
    ) -> None:
        self.deliveries = tuple(deliveries)
        self.directory = directory
        self._leases = leases

    def path(self, delivery: Delivery) -> Path:
        """Return the absolute path under which codex finds an attachment."""
        return self.directory / delivery.link_name

    def images(self) -> tuple[Path, ...]:
        """Return the paths of those that go as images, in order."""
        return tuple(self.path(d) for d in self.deliveries if d.route is Route.IMAGE)

    def prompt(self, prompt: str) -> str:
        """Return the prompt, with the manifest of those that the agent reads itself."""
        return prompt_with_manifest(
            prompt,
            [(d.attachment, self.path(d)) for d in self.deliveries if d.route is Route.MANIFEST],
        )

    async def release_images(self) -> None:
        """Give back the leases of images: codex has read them. Again is harmless."""
        for delivery, lease in zip(self.deliveries, self._leases, strict=True):
            if delivery.route is Route.IMAGE:
                await lease.aclose()


@asynccontextmanager
async def open_delivery(
    attachments: Sequence[Attachment], files: Leaser
) -> AsyncGenerator[OpenDelivery]:
    """Lease attachments, decide how each reaches the model, and link them, for a block.

    Raises:
        DeliveryError: One would not arrive.
        FilesError: Its lease was refused.
    """
    async with AsyncExitStack() as stack:
        leases = [await _lease(attachment, files, stack) for attachment in attachments]
        deliveries = plan_delivery(
            [
                (attachment, await trio.to_thread.run_sync(inspect_attachment, attachment))
                for attachment in attachments
            ]
        )
        targets: Mapping[str, Path] = {d.link_name: d.attachment.path for d in deliveries}
        directory = await stack.enter_async_context(open_links(targets))
        yield OpenDelivery(deliveries, directory, leases)


def check_kind(attachment: object) -> None:
    """Refuse what is no attachment at all.

    Raises:
        DeliveryError: It is the address of an image: codex does not fetch any.
        TypeError: It is something else.
    """
    if isinstance(attachment, Attachment):
        return
    if isinstance(attachment, str) and attachment.lower().startswith(("http://", "https://")):
        address = urlsplit(attachment)
        # Without the query, which may be a signature.
        raise DeliveryError(
            f"{address.scheme}://{address.hostname}{address.path}",
            "codex does not fetch images from the net: download it, stage it, and attach that",
        )
    raise TypeError(
        f"a {type(attachment).__name__} cannot be attached: stage it (files.stage) and attach what "
        "that returns"
    )


async def _lease(attachment: Attachment, files: Leaser, stack: AsyncExitStack) -> AsyncExitStack:
    check_kind(attachment)
    lease = await stack.enter_async_context(AsyncExitStack())
    try:
        await lease.enter_async_context(files.lease(attachment))
    except AttachmentNotFound as error:
        raise DeliveryError(attachment, "it is not staged any more: stage it again") from error
    return lease
