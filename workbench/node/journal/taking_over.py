"""Bringing a core to where earlier runs left the books."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from workbench.engines.risk.submits import Submit
from workbench.model.events import OrderFilled
from workbench.model.risk_events import RiskEvent
from workbench.node.journal.folding import JournalState, of_accounts
from workbench.node.journal.records import JournalRecord, RunStarted
from workbench.trading.core import TradingCore


def take_over_books(
    core: TradingCore,
    state: JournalState,
    messages: Iterable[JournalRecord],
    *,
    allow_overfills: bool,
    align_positions: bool,
) -> list[OrderFilled]:
    """Give a core what earlier runs left: instruments, orders, positions, accounts, the day's loss.

    Args:
        core: With the execution clients of the accounts that it goes on with; without actors.
        state: What the journal knew.
        messages: What it follows from, of the kinds `FOLDED`.
        allow_overfills: As the core is to go on.
        align_positions: Likewise.

    Returns:
        The fills that counted, in order.
    """
    for instrument in state.cache.instruments():
        core.cache.add_instrument(instrument)
    accounts = [client.account_id for client in core.execution.clients]
    told: list[RiskEvent] = []
    fills: list[OrderFilled] = []
    submits: list[Submit] = []
    for run, records in _by_run(messages):
        core.execution.configure(
            allow_overfills=run.allow_overfills,
            align_positions=run.align_positions,
            claims=run.claims,
        )
        mine = list(of_accounts(records, state, accounts))
        fills += core.rebuild(mine)
        submits += (r.message for r in mine if isinstance(r.message, Submit))
        told += (r.message for r in records if isinstance(r.message, RiskEvent) and state.counts(r))
    core.emulator.remember(submits)
    core.risk.take_over(told)
    core.execution.configure(
        allow_overfills=allow_overfills, align_positions=align_positions, claims={}
    )
    return fills


def _by_run(records: Iterable[JournalRecord]) -> Iterator[tuple[RunStarted, list[JournalRecord]]]:
    for _, group in itertools.groupby(records, lambda record: record.run):
        of_run = list(group)
        begin = of_run[0].message
        if isinstance(begin, RunStarted):
            yield begin, of_run
