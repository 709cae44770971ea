"""Where a dashboard can be opened, and what there is where it cannot."""

from __future__ import annotations

import pytest

import workbench as wb
from workbench.jupyter.dashboard import Dashboards

PAIR = wb.CurrencyPair.define("BTC/USDT.SIM", price_increment="0.01")


def new_node() -> wb.TradingNode:
    return wb.sandbox(wb.Actor(), instrument=PAIR)


def test_without_the_extension_the_error_says_what_to_load() -> None:
    with pytest.raises(wb.ConfigError, match="%load_ext workbench"):
        new_node().dashboard()


def test_without_a_kernel_it_stands_still_and_is_new_at_each_look() -> None:
    shell_without_kernel = object()
    node = new_node()
    shown = Dashboards(shell_without_kernel).open(node)
    assert repr(shown).startswith("TRADER-001: CREATED")
    node.build()
    assert repr(shown).startswith("TRADER-001: BUILT")
    assert "data events" in repr(shown)
    node.dispose()
    assert "DISPOSED" in repr(shown)
    shown.close()


@pytest.mark.parametrize("hz", [0, 0.49, 10.1, -5, float("nan"), True, "5", None])
def test_frames_a_second_are_within_reason(hz: object) -> None:
    with pytest.raises(wb.ConfigError, match="frames"):
        Dashboards(object()).open(new_node(), hz)  # type: ignore[arg-type]
