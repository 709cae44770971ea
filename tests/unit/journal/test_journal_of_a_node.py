"""Whole runs of a node, journaled: the journal folds to what the node ended with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.semantics import CASES, Steps
from tests.unit.journal import samples as s
from workbench.model.commands import SubmitOrder, SubmitOrderList
from workbench.model.events import OrderFilled
from workbench.node.journal import Journal, JournalView, Recorder, TradedAccount
from workbench.runtime.channels import ChannelName
from workbench.runtime.eventlog import RecordKind
from workbench.trading import TradingCore

ON_A_NODE = [name for name in CASES if name.split()[0] in ("2", "6", "7", "8", "10")]


def record(core: TradingCore, journal: Journal) -> list[tuple[int, ChannelName, Any]]:
    """Journal what a core handles and derives, as a composition root would; return it too."""
    journal.begin_run(
        core.run_tag,
        accounts=[
            TradedAccount(
                client_id=client.client_id,
                venue=client.venue,
                account_id=client.account_id,
                order_management=client.order_management,
                is_simulated=client.is_simulated,
            )
            for client in core.execution.clients
        ],
    )
    recorder, handled = Recorder(journal, records_data=True), list[Any]()
    core.dispatcher.taps.append(recorder.tap)
    core.dispatcher.taps.append(lambda *message: handled.append(message))
    note = core.log.add

    def add(number: int, kind: RecordKind, message: Any) -> None:
        note(number, kind, message)
        recorder.add(number, kind, message)

    core.log.add = add  # type: ignore[method-assign]
    return handled


@pytest.fixture(params=ON_A_NODE)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, JournalView, Any]]:
    case = CASES[request.param]
    node = wb.sandbox(
        Steps(steps=case.steps),
        data=list(case.data),
        instrument=case.instrument,
        venue=case.settings(),
    )
    node.build()
    with s.threaded(tmp_path, congested_at=10**6) as journal:
        handled = record(node.core, journal)
        node.run(raise_exception=True)
        journal.end_run()
    yield node, Journal.read_only(journal.path), handled
    node.dispose()


def test_a_nodes_journal_folds_to_what_the_node_ended_with(
    run: tuple[Any, JournalView, Any],
) -> None:
    node, view, _ = run
    state, cache = view.state(), node.core.cache
    assert state.cache.orders() == cache.orders() != []
    assert state.cache.positions() == cache.positions()
    assert state.cache.accounts() == cache.accounts() != []
    assert state.portfolio.realized_pnl() == node.core.portfolio.realized_pnl()
    assert not state.was_killed
    assert view.fills().equals(node.fills())
    assert view.order_events().equals(node.order_events())


def test_a_nodes_journal_holds_every_handled_message_in_order_with_its_number(
    run: tuple[Any, JournalView, Any],
) -> None:
    _, view, handled = run
    found = [(r.number, r.channel, r.message) for r in view.messages() if r.channel is not None]
    assert found == handled
    numbers = [number for number, *_ in found]
    assert numbers == list(range(1, len(found) + 1))


def test_what_caused_something_has_an_earlier_place_in_the_journal(
    run: tuple[Any, JournalView, Any],
) -> None:
    _, view, _ = run
    sent: set[str] = set()
    fills = 0
    for entry in view.messages(("command", "event")):
        message = entry.message
        if isinstance(message, SubmitOrder):
            sent.add(message.client_order_id)
        elif isinstance(message, SubmitOrderList):
            sent.update(order.client_order_id for order in message.orders)
        elif isinstance(message, OrderFilled):
            fills += 1
            assert message.client_order_id in sent
    assert fills == len(view.fills())
