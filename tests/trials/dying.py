"""How a process of the crash trial dies: by SIGKILL, at the nth time that it comes to a place."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections.abc import Callable
from typing import Any, NamedTuple


class Place(NamedTuple):
    """A method, and whether before, after or meanwhile.

    Attributes:
        owner, name: The method.
        when: `"before"` or `"after"` a call of it, or `"meanwhile"`, a little after it began.
        most: From among how many first calls the one that ends is chosen.
    """

    owner: type
    name: str
    when: str
    most: int


def die() -> None:
    """End at once, with nothing closed and nothing said."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(place: Place, nth: int, delay_s: float = 0.0) -> Callable[[], None]:
    """Let this process die at a place.

    Args:
        place: Where.
        nth: At which call, counted from now.
        delay_s: How long after its beginning, where it is to end meanwhile.

    Returns:
        What takes it back.
    """
    original: Callable[..., Any] = getattr(place.owner, place.name)
    count = 0

    def is_due() -> bool:
        nonlocal count
        count += 1
        return count == nth

    @functools.wraps(original)  # contracts are checked by signature
    async def awaited(*arguments: Any, **more: Any) -> Any:
        due = is_due()
        if due and place.when == "before":
            die()
        if due and place.when == "meanwhile":
            asyncio.get_running_loop().call_later(delay_s, die)
        result = await original(*arguments, **more)
        if due and place.when == "after":
            die()
        return result

    @functools.wraps(original)
    def called(*arguments: Any, **more: Any) -> Any:
        due = is_due()
        if due and place.when == "before":
            die()
        result = original(*arguments, **more)
        if due and place.when == "after":
            die()
        return result

    is_awaited = asyncio.iscoroutinefunction(original)
    setattr(place.owner, place.name, awaited if is_awaited else called)
    return lambda: setattr(place.owner, place.name, original)
