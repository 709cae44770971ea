"""What completes `%node`, `%backtest` and `%%strategy`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.node_fakes import Market, make_node
from workbench.jupyter.completing import candidates

WORDS = [
    *("new", "build", "run", "status", "watch", "orders", "fills", "positions", "channels", "log"),
    *("journal", "shadow", "verify", "checklist", "promote", "demote"),
    *("halt", "resume", "kill", "stop", "dispose", "reset"),
]
PAIR = wb.CurrencyPair.define("BTC/USDT.SIM")


class Cross(wb.Strategy):
    fast: int = 10
    slow: int = 30


@pytest.fixture
def namespace() -> dict[str, Any]:
    return {
        "left": wb.sandbox(Cross(), instrument=PAIR),
        "right": wb.sandbox(Cross(), instrument=PAIR),
        "_hidden": wb.sandbox(Cross(), instrument=PAIR),
        "Cross": Cross,
        "Strategy": wb.Strategy,
        "cross": Cross(),
        "pair": PAIR,
        "frame": wb.sample_bars(3),
        "loaded": wb.bars(wb.sample_bars(3)),
        "seven": 7,
        "strict": wb.PromotionRules(),
    }


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("%node ", WORDS),
        ("    %node ", WORDS),
        ("%node  s", ["status", "shadow", "stop"]),
        ("%node re", ["resume", "reset"]),
        ("%node x", []),
        ("%node x ", []),
        ("%node stop ", ["left", "right"]),
        ("%node stop  l", ["left"]),
        ("%node stop left ", []),
        ("%node run left ", ["--thread"]),
        ("%node run --", ["--help", "--thread"]),
        ("%node log -n ", []),
        ("%node log -n 5 ", ["left", "right"]),
        ("%node run --thread ", ["left", "right"]),
        ("%node new ", []),
        ("%node new x --strategy ", ["Cross", "cross"]),
        ("%node new x -s c", ["cross"]),
        ("%node new x --instrument ", ["pair"]),
        ("%node new x --strategy Cross -p ", ["fast=", "slow="]),
        ("%node new x --strategy Cross --parameter s", ["slow="]),
        ("%node new x --strategy cross -p ", []),
        ("%node new x --rate ", []),
        ("%node new x --kind ", ["bars", "quotes", "trades"]),
        ("%node new x --sp", ["--speed"]),
        ("%node journal left --", ["--fills", "--help", "--newest", "--orders", "--runs"]),
        ("%node promote left --strategy ", []),
        ("%node promote left --account ", []),
        ("%node promote left --rules ", ["strict"]),
        ("%node promote left --position ", ["close", "open"]),
        ("%node promote left --d", ["--dry-run"]),
        ("%node demote left --position ", ["leave", "close"]),
        ("%backtest ", ["Cross", "cross"]),
        ("%backtest Cross -p fast=5 f", ["frame"]),
        ("%backtest Cross frame l", ["loaded"]),
        ("%backtest Cross frame --instrument ", ["pair"]),
        ("%%strategy ", ["cross"]),
        ("%%strategy cross ", ["--node"]),
        ("%%strategy cross --node r", ["right"]),
        ("%node", []),
        ("%nodes ", []),
        ("x = 1", []),
        ("", []),
    ],
)
def test_words_come_first_then_names_and_options(
    namespace: dict[str, Any],
    line: str,
    found: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert candidates(line, namespace) == found


def test_strategies_and_accounts_of_the_node_that_is_meant_are_offered(tmp_path: Path) -> None:
    first, second = Cross(), Cross()
    node = make_node(
        *(first, second),
        market=Market(is_simulated=False),
        journal=str(tmp_path / "journal.sqlite"),
    )
    node.build()
    other = wb.sandbox(Cross(), instrument=PAIR)
    known = {"node": node, "other": other, "fast": first, "stranger": Cross(), "second": second}
    names = ["fast", "second", "Cross-001", "Cross-002"]
    assert candidates("%node promote node -s ", known) == names
    assert candidates("%node demote node --strategy Cross-", known) == names[2:]
    assert candidates("%node promote node --account ", known) == ["SIM-001"]
    assert candidates("%node promote node --confirm S", known) == ["SIM-001"]
    assert candidates("%node promote -s ", known) == []  # the latest node is the other one
    node.dispose()


def test_data_is_a_variable_a_file_or_a_folder_on_the_way_to_one(
    namespace: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("bid.csv", "deep/ask.csv.gz", "deep/all.parquet", "notes.txt"):
        (tmp_path / name).touch()
    here = ["frame", "loaded", "bid.csv", "deep/"]
    assert candidates("%node new x --data ", namespace) == ["synthetic", *here]
    assert candidates("%backtest Cross ", namespace) == here
    assert candidates("%backtest Cross deep/", namespace) == ["deep/all.parquet", "deep/ask.csv.gz"]
    assert candidates("%backtest Cross bid=b", namespace) == ["bid=bid.csv"]
    assert candidates("%backtest Cross nowhere/", namespace) == []
