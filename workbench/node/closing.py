"""Disconnecting every client and disposing of every actor, whatever one of them does."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterable

from workbench.model.errors import StrategyError
from workbench.node.faults import Client, describe
from workbench.node.waiting import Deadline, at_once, end_tasks, wait_until
from workbench.trading.actor import Actor
from workbench.trading.core import TradingCore

_log = logging.getLogger(__name__)


async def disconnect_all(
    clients: Iterable[Client], deadline: Deadline, problems: list[str]
) -> None:
    """Disconnect all clients at once, within one time.

    Args:
        clients: Each is told, whatever another one does.
        deadline: When to wait no longer.
        problems: Takes what went wrong, a sentence each, also when this is cancelled.
    """
    now = asyncio.get_running_loop().time
    began = now()
    tasks = {
        asyncio.create_task(_disconnect(c), name=f"workbench disconnect {c.client_id}"): c
        for c in clients
    }
    try:
        await wait_until(tasks, deadline)
    finally:
        waited_s = now() - began
        found = (_problem(task, client, waited_s) for task, client in tasks.items())
        for problem in filter(None, found):
            problems.append(problem)
            _log.error(problem)
        await end_tasks((task for task in tasks if not task.done()), at_once)


async def _disconnect(client: Client) -> None:
    await client.disconnect()


def _problem(task: asyncio.Task[None], client: Client, waited_s: float) -> str:
    if not task.done():
        return f"{client.client_id} did not disconnect within {waited_s:.3g} s"
    if task.cancelled():
        return f"{client.client_id} broke off disconnecting"
    error = task.exception()
    return "" if error is None else f"{client.client_id} failed to disconnect: {describe(error)}"


def dispose_of(actors: Iterable[Actor], core: TradingCore | None) -> list[StrategyError]:
    """Dispose of a core's actors, but of none that is part of another one by now.

    Returns:
        What they raised.
    """
    errors: list[StrategyError] = []
    for actor in () if core is None else actors:
        if actor.core is core:
            try:
                actor.dispose()
            except StrategyError as error:
                errors.append(error)
    return errors


def raise_first(errors: Iterable[StrategyError]) -> None:
    """Raise the first of some errors, with the others as notes; do nothing if there is none.

    To an exception that is on its way out already all of them become notes: it is never hidden.
    """
    on_its_way = sys.exc_info()[1]
    first: BaseException | None = on_its_way
    for error in errors:
        if first is None:
            first = error
        elif error is not first:
            first.add_note(f"When the node was disposed of: {error}")
    if on_its_way is None and first is not None:
        raise first
