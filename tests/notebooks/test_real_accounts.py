"""The words of `%node` about real accounts: journal, shadow, verify, checklist, promote, demote."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.notebooks.kernels import Kernel
from tests.notebooks.test_node_magic import refused

VENUE = """
import tempfile
from workbench.venues import ExecutionSettings, LinkSettings
from workbench.venues.fake import FAKE, FakeVenue

REAL = wb.CurrencyPair.define("BTC/USDT.FAKE", price_increment="0.01", quantity_increment="0.001")
fake = FakeVenue([REAL], clock_ns=time.time_ns, balances={"USDT": 1_000_000})
rules = wb.PromotionRules(min_duration_s=0, min_orders=1, min_fills=1, max_stall_s=60)
limits = wb.RiskLimits(max_order_quantity=10, max_position=100, max_loss_per_day="1_000 USDT")


class Desk(wb.Strategy):
    '''Buys when told to.'''

    def on_start(self):
        self.subscribe_quotes(REAL.id)

    def buy(self):
        order = self.orders.limit(REAL.id, "buy", 1, price="100.05")
        self.submit_order(order)
        return order


async def moving():
    while True:
        fake.market.quote(REAL.id, 99.99, 100.01)
        await asyncio.sleep(0.01)


desk = Desk()
node = wb.sandbox(
    desk,
    account=wb.VenueAccount(FAKE, "FAKE-001", fake=fake),
    instrument=REAL,
    shadow=True,
    config=wb.TradingNodeConfig(
        journal="default", data_folder=tempfile.mkdtemp(), journal_data=True, limits=limits
    ),
)
node.build()
node.run()
market = asyncio.create_task(moving())
await until(lambda: node.phase == "running" and node.core.cache.quote(REAL.id) is not None)
order = desk.buy()
await until(lambda: order.is_closed)
"""


@pytest.fixture(scope="module")
def traded(kernel: Kernel) -> Generator[Kernel]:
    """A kernel with a node that may be promoted, and one fill in its sandbox."""
    kernel.run(VENUE).ok()
    yield kernel
    kernel.run("await node.stop_async()\nmarket.cancel()\nnode.dispose()").ok()


def test_the_journal_is_shown_whole_or_by_its_parts(traded: Kernel) -> None:
    shown = traded.run("%node journal").ok().result
    assert "JournalView of TRADER-001" in shown
    assert "of 1 runs" in shown
    for words, columns in [
        ("--runs", {"run", "ended"}),
        ("--orders", {"event", "client_order_id"}),
        ("--fills", {"trade_id", "price"}),
        ("-n 5", {"sequence", "kind", "told"}),
    ]:
        traded.run(f"part = %node journal {words}").ok()
        assert columns <= set(traded.value("list(part.columns)")), words
        assert traded.value("len(part)") > 0, words
    assert traded.value("len(part)") == 5
    refused(traded, "%node journal --runs --fills", "ConfigError", "not allowed with")
    refused(traded, "%node journal -n 0", "ConfigError", "1 or more; got 0")


def test_a_run_is_verified_by_a_word(traded: Kernel) -> None:
    traded.run("found = %node verify").ok()
    assert traded.value("found.is_identical") is True
    traded.run("found = %node verify --strategy desk --run -1").ok()
    assert traded.value("found.is_identical") is True
    refused(traded, "%node verify --run 99", "ConfigError", "no run 99")


def test_a_strategy_is_promoted_looked_at_and_demoted_by_words(traded: Kernel) -> None:
    status = traded.run("%node status").ok().result
    assert "orders: PAPER FAKE-PAPER" in status
    points = traded.run("%node checklist --rules rules").ok().result
    assert "credentials" in points

    cell = traded.run("%node promote --account FAKE-001 --rules rules")
    assert cell.error is not None
    assert cell.error["ename"] == "PromotionError"
    assert "wanted: confirm='FAKE-001'" in cell.error_text
    dry = traded.run("%node promote -s desk --account FAKE-001 --rules rules --dry-run").ok()
    assert "dry run" in dry.result
    assert traded.value("fake.market.submits == {}")

    done = traded.run(
        "report = %node promote -s Desk-001 --account FAKE-001 --confirm FAKE-001 --rules rules\n"
        "report"
    ).ok()
    assert "Desk-001 trades account FAKE-001 now" in done.result
    assert "orders: LIVE FAKE-001" in traded.run("%node status").ok().result
    traded.run("order = desk.buy()\nawait until(lambda: order.is_closed)").ok()
    assert traded.value("list(fake.market.submits.values())") == [1]

    shadow = traded.run("found = %node shadow\nfound").ok().result
    assert "1 order, 1 filled at both; the venue cost 0.04 USDT more" in shadow

    refused(traded, "%node demote --position open", "ConfigError", "invalid choice: 'open'")
    done = traded.run("report = %node demote desk --position close")
    assert done.error is not None  # `desk` is no node
    traded.run("report = %node demote -s desk --position close").ok()
    assert "orders: PAPER FAKE-PAPER" in traded.run("%node status").ok().result


def test_what_is_wrong_is_said_in_a_sentence(traded: Kernel) -> None:
    refused(traded, "%node promote --rules nothing", "ConfigError", "wb.PromotionRules", "nothing")
    refused(traded, "%node promote -s Nobody", "ConfigError", "Nobody", "Desk-001")
    refused(traded, "%node checklist --account NOWHERE", "ConfigError", "NOWHERE", "FAKE-001")
    traded.run("plain = make()").ok()
    refused(traded, "%node shadow plain", "ConfigError", "this node has no shadow")
    refused(traded, "%node journal plain", "ConfigError", "keeps no journal")
    refused(traded, "%node promote plain", "LifecycleError", "CREATED")
    traded.run("plain.dispose()").ok()


def test_strategies_accounts_and_rules_are_completed(traded: Kernel) -> None:
    assert traded.complete("%node promote node -s ") == ["desk", "Desk-001"]
    assert traded.complete("%node promote node --account ") == ["FAKE-001"]
    assert traded.complete("%node promote node --confirm F") == ["FAKE-001"]
    assert traded.complete("%node promote node --position ") == ["close", "open"]
    assert traded.complete("%node demote node --position ") == ["leave", "close"]
    assert traded.complete("%node checklist node --rules ru") == ["rules"]
    assert traded.complete("%node journal node --f") == ["--fills"]


def test_words_that_wait_leave_the_node_its_turn_also_in_a_function(traded: Kernel) -> None:
    traded.run(
        "def look():\n    found = %node checklist node --rules rules\n    return found\n"
        "points = look()"
    ).ok()
    assert traded.value("len(points.checks)") > 3
    assert "await node.promote_async(" in traded.run("%node promote?").ok().out
