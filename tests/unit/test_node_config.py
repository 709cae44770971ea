"""The node's settings and what it is made of: refused early, by name."""

from __future__ import annotations

from typing import Any

import pytest

import workbench as wb
from tests.node_fakes import Feed, Market, Watcher
from workbench.model.errors import ConfigError
from workbench.node import ClockKind


def test_an_unknown_field_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no field 'trader', 'x'; it has: trader_id, clock"):
        wb.TradingNodeConfig(trader="A", x=1)  # pyright: ignore


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("trader_id", "a b", "trader_id"),
        ("trader_id", "", "trader_id"),
        ("clock", "lunar", "clock"),
        ("timeout_connection_s", -1, "timeout_connection_s is a number of seconds, 0 or more"),
        ("timeout_reconciliation_s", "1", "timeout_reconciliation_s"),
        ("timeout_disconnection_s", True, "timeout_disconnection_s"),
        ("delay_post_stop_s", float("nan"), "delay_post_stop_s"),
        ("max_quote_age_s", float("inf"), "max_quote_age_s"),
        ("budget_s", 0, "budget_s"),
        ("pause_s", 0.0001, "pause_s is a number of seconds, 0.0005 or more; got 0.0001"),
        ("stall_threshold_s", 0, "stall_threshold_s"),
        ("conflate_above", 0, "conflate_above"),
        ("conflate_above", 1.5, "conflate_above"),
        ("limits", {"orders": 3}, "RiskLimits"),
        ("journal", "", "journal is a path, 'default', or None"),
        ("journal", 3, "journal is a path"),
        ("data_folder", True, "data_folder is a path, or None; got True"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_at_construction(
    field: str, value: Any, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        wb.TradingNodeConfig(**{field: value})


def test_conflation_is_refused_with_a_simulated_clock_since_a_replay_is_lossless() -> None:
    with pytest.raises(ConfigError, match=r"conflate_above drops market data.*must be lossless"):
        wb.TradingNodeConfig(clock=ClockKind.SIMULATED, conflate_above=100)
    with pytest.raises(ConfigError, match="must be lossless"):
        wb.TradingNodeConfig.from_dict({"clock": "simulated", "conflate_above": 100})
    assert wb.TradingNodeConfig(conflate_above=100).conflate_above == 100


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        wb.TradingNodeConfig().budget_s = 1.0  # pyright: ignore


def test_settings_come_from_a_mapping() -> None:
    config = wb.TradingNodeConfig.from_dict(
        {"trader_id": "A-1", "clock": "simulated", "delay_post_stop_s": 2, "limits": {"orders": 7}}
    )
    assert config.clock is ClockKind.SIMULATED
    assert config.delay_post_stop_s == 2
    assert config.limits.orders == 7
    assert config.trader_id == "A-1"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"trader": "A"}, "trader"),
        ({"budget_s": "x"}, "budget_s"),
        ({"budget_s": -1.0}, "budget_s"),
        ({"clock": "lunar"}, "lunar"),
        ({"limits": {"order": 3}}, "order"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused_by_name(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        wb.TradingNodeConfig.from_dict(fields)


def test_a_node_takes_no_mapping_as_settings() -> None:
    with pytest.raises(ConfigError, match="from_dict"):
        wb.TradingNode({"trader_id": "A"})  # pyright: ignore


def test_what_is_no_strategy_is_refused() -> None:
    node = wb.TradingNode()
    with pytest.raises(ConfigError, match="not the class"):
        node.add_strategy(Watcher)  # pyright: ignore
    with pytest.raises(ConfigError, match=r"wb\.Strategy or wb\.Actor"):
        node.add_strategy(object())  # pyright: ignore
    one = Watcher()
    node.add_strategy(one)
    with pytest.raises(ConfigError, match="added already"):
        node.add_strategy(one)
    assert node.strategies == [one]


def test_what_is_no_factory_is_refused() -> None:
    node = wb.TradingNode()
    with pytest.raises(ConfigError, match="a data client factory is called with a BuildContext"):
        node.add_data_client_factory(1)  # pyright: ignore
    with pytest.raises(ConfigError, match="an execution client factory is called with"):
        node.add_exec_client_factory(None)  # pyright: ignore


def test_a_factory_that_makes_no_client_is_named() -> None:
    node = wb.TradingNode()
    node.add_data_client_factory(lambda context: None)  # pyright: ignore
    with pytest.raises(ConfigError, match="must return a DataClient; it returned None"):
        node.build()
    node = wb.TradingNode()
    node.add_exec_client_factory(Feed())  # pyright: ignore
    with pytest.raises(ConfigError, match="must return a ExecutionClient"):
        node.build()


def test_two_clients_of_one_name_are_refused() -> None:
    node = wb.TradingNode()
    node.add_data_client_factory(Feed())
    node.add_data_client_factory(Feed())
    with pytest.raises(ConfigError, match="'FEED' is registered already"):
        node.build()
    assert node.state == "CREATED"


def test_nothing_is_added_once_the_node_is_built() -> None:
    node = wb.TradingNode()
    node.build()
    said = "to a BUILT node; allowed now: run, dispose"
    with pytest.raises(wb.LifecycleError, match=f"cannot add a strategy {said}"):
        node.add_strategy(Watcher())
    with pytest.raises(wb.LifecycleError, match=said):
        node.add_data_client_factory(Feed())
    with pytest.raises(wb.LifecycleError, match=said):
        node.add_exec_client_factory(Market())
    node.dispose()
    with pytest.raises(wb.LifecycleError, match="to a DISPOSED node; allowed now: nothing"):
        node.add_strategy(Watcher())


def test_a_replay_needs_a_simulated_clock() -> None:
    from tests.node_fakes import PAIR

    node = wb.TradingNode()
    node.add_data_client_factory(wb.Replay(wb.sample_bars(3), PAIR))
    with pytest.raises(ConfigError, match="clock='simulated'"):
        node.build()
