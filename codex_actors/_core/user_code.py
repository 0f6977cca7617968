"""Where the framework's own code ends and that of its users begins.

The framework's bookkeeping is protected from Ctrl-C, which would leave it half done;
the code of users is not, or a loop of theirs could not be interrupted.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio

T = TypeVar("T")


@trio.lowlevel.disable_ki_protection
async def call_user(function: Callable[..., Awaitable[T]], /, *args: Any, **kwargs: Any) -> T:
    """Run a user's code, where Ctrl-C may land, unlike in the framework's bookkeeping."""
    return await function(*args, **kwargs)


@trio.lowlevel.disable_ki_protection
def build_user(factory: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Call a user's factory, where Ctrl-C may land."""
    return factory(*args, **kwargs)


def leaked(cancelled: trio.Cancelled) -> RuntimeError:
    """The crash of a life that ends by a Cancelled which none of its scopes sent."""
    error = RuntimeError("a trio.Cancelled from elsewhere was raised here")
    error.__cause__ = cancelled
    return error
