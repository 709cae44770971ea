"""Where each strategy's orders go: in snapshots, in the repr and in a notebook."""

from __future__ import annotations

from pathlib import Path

import pytest

import workbench as wb
from tests.node_fakes import Market, Trader, Watcher, make_node, simulated
from workbench.model.identifiers import AccountId, StrategyId, Venue
from workbench.node.snapshots import DestinationRow

SIM, LIVE, PAPER = Venue("SIM"), "SIM-001", "SIM-PAPER"


@pytest.fixture
def both(tmp_path: Path) -> wb.TradingNode:
    """A node of two strategies with a simulated exchange and, at the same venue, a real account."""
    node = make_node(Trader(), Watcher(), market=simulated(), journal=str(tmp_path / "j.sqlite"))
    node.add_exec_client_factory(Market(is_simulated=False), promotable=True)
    node.build()
    return node


def ways(node: wb.TradingNode) -> list[tuple[DestinationRow, ...]]:
    return [one.destinations for one in node.snapshot().strategies]


def test_before_it_is_built_nothing_is_said() -> None:
    node = make_node(Trader())
    assert "orders:" not in repr(node)
    assert node.real_accounts == []


def test_a_node_with_a_real_account_alone_is_live(tmp_path: Path) -> None:
    node = make_node(
        Trader(), wb.Actor(), market=Market(is_simulated=False), journal=str(tmp_path / "j.sqlite")
    )
    node.build()
    live = DestinationRow(venue="SIM", account_id=LIVE, is_live=True)
    assert ways(node) == [(live,), ()]  # an actor sends no orders
    assert "; orders: LIVE SIM-001" in repr(node)
    assert "LIVE SIM-001" in node._repr_html_()  # pyright: ignore[reportPrivateUsage]
    node.dispose()


def test_a_sandbox_says_paper_where_there_is_room_for_it() -> None:
    node = make_node(Trader(), market=simulated())
    node.build()
    assert ways(node) == [(DestinationRow(venue="SIM", account_id=PAPER, is_live=False),)]
    assert "orders:" not in repr(node)
    assert "PAPER SIM-PAPER" in node._repr_html_()  # pyright: ignore[reportPrivateUsage]
    node.dispose()


def test_each_strategy_has_a_way_of_its_own(both: wb.TradingNode) -> None:
    assert both.real_accounts == [LIVE]
    assert "; orders: PAPER SIM-PAPER;" in repr(both) + ";"
    both.core.routes.set(StrategyId("Watcher-002"), SIM, AccountId(LIVE))
    text = "Trader-001 PAPER SIM-PAPER, Watcher-002 LIVE SIM-001"
    assert f"; orders: {text}" in repr(both)
    assert [one[0].text for one in ways(both)] == ["PAPER SIM-PAPER", "LIVE SIM-001"]
    both.core.routes.refuse(StrategyId("Watcher-002"), "CODE", "its code is another")
    assert "Watcher-002 LIVE SIM-001 (its code is another)" in repr(both)
    assert ways(both)[1][0].refusal == "its code is another"
    both.dispose()
