"""Statistics of the profits of closed positions: exact amounts, and ratios of them.

A winner's profit is above zero, a loser's below; one that broke even is neither, but counts among
all. Profits include commissions and are in one currency. Amounts are `Decimal`, exact to 28 digits,
and `Decimal("NaN")` where there is nothing to tell; ratios are float and NaN there.

The terms are those of NautilusTrader's `PortfolioAnalyzer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext
from math import nan
from typing import Protocol

from workbench.model.enums import OrderSide
from workbench.model.money import MONEY_CONTEXT, ZERO

NOT_KNOWN = Decimal("NaN")


class ClosedPosition(Protocol):
    """A position that was closed, as far as statistics are concerned."""

    @property
    def entry(self) -> OrderSide:
        """Return the side it was opened with."""
        ...

    @property
    def realized_pnl(self) -> Decimal:
        """Return what it brought, with commissions."""
        ...


def max_winner(profits: Sequence[Decimal]) -> Decimal:
    """Return the largest profit, NaN without a winner."""
    return max(_winners(profits), default=NOT_KNOWN)


def average_winner(profits: Sequence[Decimal]) -> Decimal:
    """Return the mean profit of the winners, NaN without one."""
    return _mean(_winners(profits))


def min_winner(profits: Sequence[Decimal]) -> Decimal:
    """Return the smallest profit of a winner, NaN without one."""
    return min(_winners(profits), default=NOT_KNOWN)


def max_loser(profits: Sequence[Decimal]) -> Decimal:
    """Return the largest loss, a negative amount, NaN without a loser."""
    return min(_losers(profits), default=NOT_KNOWN)


def average_loser(profits: Sequence[Decimal]) -> Decimal:
    """Return the mean loss of the losers, a negative amount, NaN without one."""
    return _mean(_losers(profits))


def min_loser(profits: Sequence[Decimal]) -> Decimal:
    """Return the smallest loss, the negative amount nearest to zero, NaN without a loser."""
    return max(_losers(profits), default=NOT_KNOWN)


def expectancy(profits: Sequence[Decimal]) -> Decimal:
    """Return what a position brought on average, NaN without one.

    `win rate * average winner + loss rate * average loser`, which is the mean of all profits.

    Source: Van K. Tharp, Trade Your Way to Financial Freedom, 1998.

    >>> expectancy([Decimal(3), Decimal(-1), Decimal(0), Decimal("0.4")])
    Decimal('0.6')
    """
    return _mean(profits)


def win_rate(profits: Sequence[Decimal]) -> float:
    """Return the share of winners among all, 0 to 1, NaN without a position."""
    return len(_winners(profits)) / len(profits) if profits else nan


def profit_factor(profits: Sequence[Decimal]) -> float:
    """Return the sum of profits by the sum of losses, NaN without a loser.

    >>> profit_factor([Decimal(3), Decimal(-1), Decimal(-1)])
    1.5
    """
    with localcontext(MONEY_CONTEXT):
        lost = -sum(_losers(profits), ZERO)
        return float(sum(_winners(profits), ZERO) / lost) if lost else nan


def long_ratio(positions: Iterable[ClosedPosition]) -> float:
    """Return the share of positions that were entered by buying, 0 to 1, NaN without one."""
    sides = [position.entry is OrderSide.BUY for position in positions]
    return sum(sides) / len(sides) if sides else nan


def _winners(profits: Sequence[Decimal]) -> list[Decimal]:
    return [profit for profit in profits if profit > 0]


def _losers(profits: Sequence[Decimal]) -> list[Decimal]:
    return [profit for profit in profits if profit < 0]


def _mean(profits: Sequence[Decimal]) -> Decimal:
    with localcontext(MONEY_CONTEXT):
        return sum(profits, ZERO) / len(profits) if profits else NOT_KNOWN
