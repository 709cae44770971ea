"""What a promotion is decided on: rules, checklist, certificate; what the journal says of it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

import workbench as wb
from workbench.model.errors import ConfigError
from workbench.model.identifiers import AccountId
from workbench.node.journal import Journal, JournalKind, Promotion
from workbench.node.promotion import Certificate, Check, Checklist, Evidence, PromotionError
from workbench.node.promotion.moving import Moved
from workbench.node.promotion.records import certificate_of, demote_in_journal, standing
from workbench.node.promotion.reports import DemotionReport, PromotionReport
from workbench.trading.code_identity import identify

D = Decimal


class Steady(wb.Strategy):
    fast: int = 3

    def on_start(self) -> None:
        self.subscribe_quotes()


EVIDENCE = Evidence(
    since_ns=1,
    duration_ns=3_600_000_000_000,
    orders=12,
    fills=11,
    denied=0,
    rejected=0,
    profit={"USDT": D("12.50")},
    drawdown={"USDT": D("3.1")},
    stalls=1,
    longest_stall_ns=300_000_000,
)
CHECKS = (Check(name="lease", passed=True, found="held"),)


def certificate(strategy: wb.Strategy, **changes: Any) -> Certificate:
    fields: dict[str, Any] = {
        "trader_id": "TRADER-001",
        "strategy_id": "Steady-001",
        "class_name": "Steady",
        "account_id": "FAKE-001",
        "code": identify(strategy),
        "evidence": EVIDENCE,
        "rules": wb.PromotionRules(min_duration_s=60),
        "limits": msgspec.to_builtins(wb.RiskLimits(max_position=5), str_keys=True),
        "checks": CHECKS,
        "position": "close",
        "by": "somebody at a host",
        "ts_ns": 1_700_000_000_000_000_000,
    }
    return Certificate(**(fields | changes)).signed()


def test_a_certificate_verifies_what_it_is_of_and_outlives_json() -> None:
    strategy = Steady()
    made = certificate(strategy)
    assert made.verify(strategy) == []
    read = Certificate.from_dict(msgspec.json.decode(msgspec.json.encode(made.to_dict())))
    assert read == made
    assert read.verify(Steady()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"account_id": "FAKE-002"},
        {"by": "somebody else"},
        {"evidence": msgspec.structs.replace(EVIDENCE, fills=12)},
        {"rules": wb.PromotionRules()},
        {"checks": ()},
        {"ts_ns": 1},
    ],
)
def test_a_certificate_that_was_changed_says_so(change: dict[str, Any]) -> None:
    forged = msgspec.structs.replace(certificate(Steady()), **change)
    assert forged.verify() == ["the certificate was changed after it was written"]


def test_a_certificate_names_what_of_the_strategy_is_another() -> None:
    problems = certificate(Steady()).verify(Steady(fast=4))
    assert len(problems) == 1
    assert "fast" in problems[0]


def test_a_certificate_looks_good() -> None:
    made = certificate(Steady())
    assert "Steady-001 to FAKE-001" in repr(made)
    assert "12.5 USDT" in repr(made)
    assert made.digest in made._repr_html_()


def test_a_checklist_names_what_does_not_hold() -> None:
    checks = (
        Check(name="lease", passed=True, found="held", wanted="the lease"),
        Check(name="clock", passed=False, found="2 s apart", wanted="at most 1 s"),
    )
    listed = Checklist(strategy_id="S-1", account_id="A-1", checks=checks, ts_ns=0)
    assert not listed.passed
    assert listed.failed == ["clock"]
    assert str(listed).split("\n") == [
        "S-1 to A-1: may not be promoted: clock",
        "✓ lease: held",
        "✗ clock: 2 s apart (wanted: at most 1 s)",
    ]
    assert "2 s apart" in listed._repr_html_()
    assert listed["clock"] is checks[1]
    with pytest.raises(KeyError, match="there are: lease, clock"):
        listed["clocks"]
    whole = Checklist(strategy_id="S-1", account_id="A-1", checks=checks[:1], ts_ns=0)
    assert whole.passed
    assert repr(whole).startswith("S-1 to A-1: may be promoted")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"min_duration_s": -1}, "min_duration_s is a number of seconds"),
        ({"min_duration_s": None}, "min_duration_s is a number of seconds"),
        ({"max_stall_s": float("nan")}, "max_stall_s is a number of seconds"),
        ({"min_fills": 1.5}, "min_fills is a whole number"),
        ({"min_orders": True}, "min_orders is a whole number"),
        ({"max_drawdown": "0 USDT"}, "max_drawdown is an amount above 0"),
        ({"max_clock_skew_s": -1}, "max_clock_skew_s is a number of seconds"),
    ],
)
def test_rules_that_do_not_fit_are_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        wb.PromotionRules(**fields)


def test_rules_may_leave_the_clock_out() -> None:
    assert wb.PromotionRules(max_clock_skew_s=None).max_clock_skew_s is None


def test_reports_say_what_was_done() -> None:
    moved = Moved(
        cancelled=("order O-1 (accepted): buy 2 BTC/USDT.FAKE",),
        closed={"BTC/USDT.FAKE": D(3)},  # type: ignore[dict-item]
        opened={"BTC/USDT.FAKE": D(3)},  # type: ignore[dict-item]
        left=("position 1 BTC/USDT.FAKE",),
    )
    listed = Checklist(strategy_id="S-1", account_id="A-1", checks=CHECKS, ts_ns=0)
    report = PromotionReport(strategy_id="S-1", account_id="A-1", checklist=listed, moved=moved)
    assert str(report).split("\n")[:5] == [
        "S-1 trades account A-1 now",
        "cancelled: order O-1 (accepted): buy 2 BTC/USDT.FAKE",
        "closed: 3 BTC/USDT.FAKE",
        "ordered at the venue: 3 BTC/USDT.FAKE",
        "still open: position 1 BTC/USDT.FAKE",
    ]
    dry = msgspec.structs.replace(report, is_dry_run=True)
    assert "would be closed: 3 BTC/USDT.FAKE" in repr(dry)
    assert "still open" not in repr(dry)
    demoted = DemotionReport(strategy_id="S-1", account_id="A-1")
    assert repr(demoted) == "S-1 no longer trades account A-1"
    assert "nothing was open there" in demoted._repr_html_()


def test_the_journal_s_last_word_counts_but_for_refusals(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "j.sqlite", "TRADER-001")

    def said(action: str, strategy_id: str) -> None:
        promotion = Promotion(
            action=action,
            strategy_id=strategy_id,
            account_id=AccountId("FAKE-001"),
            certificate=certificate(Steady()).to_dict() if action == "promoted" else {},
        )
        journal.append(JournalKind.PROMOTION, promotion)

    try:
        for action, strategy_id in (
            ("promoted", "A-001"),
            ("refused", "A-001"),
            ("promoted", "B-002"),
            ("demoted", "B-002"),
            ("refused", "C-003"),
        ):
            said(action, strategy_id)
        journal.flush()
        assert list(standing(journal)) == ["A-001"]
        read = certificate_of(standing(journal)["A-001"])
        assert read is not None
        assert read.verify(Steady()) == []
        with pytest.raises(PromotionError, match="B is not promoted; promoted: A-001"):
            demote_in_journal(journal, "B")
        said("promoted", "B-002")
        journal.flush()
        with pytest.raises(PromotionError, match="say which to demote"):
            demote_in_journal(journal, None)
        demote_in_journal(journal, "B")
        journal.flush()
        assert demote_in_journal(journal, None).strategy_id == "A-001"
        journal.flush()
        assert standing(journal) == {}
        with pytest.raises(PromotionError, match="no strategy is promoted"):
            demote_in_journal(journal, None)
    finally:
        journal.close()


def test_a_certificate_that_cannot_be_read_is_none() -> None:
    said = Promotion(
        action="promoted",
        strategy_id="A-001",
        account_id=AccountId("FAKE-001"),
        certificate={"trader_id": 1},
    )
    assert certificate_of(said) is None
