"""Promotions as a journal tells them."""

from __future__ import annotations

import msgspec

from workbench.node.journal import Journal, JournalKind, JournalView, Promotion
from workbench.node.promotion.certificate import Certificate
from workbench.node.promotion.errors import PromotionError
from workbench.node.promotion.reports import DemotionReport

PROMOTED, DEMOTED, REFUSED = "promoted", "demoted", "refused"


def standing(journal: JournalView) -> dict[str, Promotion]:
    """Return the promotions that hold, by strategy: the last word about each, but for refusals."""
    found: dict[str, Promotion] = {}
    for record in journal.messages(JournalKind.PROMOTION):
        said: Promotion = record.message
        if said.action == PROMOTED:
            found[said.strategy_id] = said
        elif said.action == DEMOTED:
            found.pop(said.strategy_id, None)
    return found


def demote_in_journal(journal: Journal, which: str | None) -> DemotionReport:
    """Write down that a strategy is promoted no longer; the only one by default.

    Raises:
        PromotionError: If it is not promoted, or several are; says which are.
    """
    there = standing(journal)
    found = [name for name in there if which in (None, name, name.rpartition("-")[0])]
    if len(found) != 1:
        names = ", ".join(there) or "none"
        what = f"{which} is not promoted" if which and not found else "say which to demote"
        raise PromotionError(f"{what}; promoted: {names}" if there else "no strategy is promoted")
    (name,) = found
    said = there[name]
    journal.append(
        JournalKind.PROMOTION,
        Promotion(action=DEMOTED, strategy_id=name, account_id=said.account_id),
    )
    return DemotionReport(strategy_id=name, account_id=said.account_id)


def certificate_of(said: Promotion) -> Certificate | None:
    """Return the certificate of a promotion; None where it cannot be read any more."""
    try:
        return Certificate.from_dict(said.certificate)
    except (msgspec.ValidationError, TypeError):
        return None
