"""What both sides of a market show, in whole ticks, and where it stands within a move."""

from __future__ import annotations

from typing import NamedTuple

from workbench.model.enums import OrderSide
from workbench.model.instruments import Instrument
from workbench.sim.book import Top
from workbench.sim.resting import Resting, VenueOrder


class Offer(NamedTuple):
    """What one side shows: its price in ticks and how much; infinite for unlimited."""

    ticks: int
    size: float


Offers = dict[OrderSide, Offer | None]
"""What a buyer and what a seller finds; None where nothing is there."""


def offer_of(instrument: Instrument, price: float, size: float) -> Offer | None:
    """Return a price and size as an offer, None where either is missing or less than a step."""
    # Not a number is less than nothing.
    if not (size >= instrument.least_size and price == price):
        return None
    return Offer(instrument.ticks(price), size)


def offers_of(instrument: Instrument, top: Top) -> Offers:
    """Return what both sides show."""
    return {
        OrderSide.BUY: offer_of(instrument, top.ask, top.ask_size),
        OrderSide.SELL: offer_of(instrument, top.bid, top.bid_size),
    }


class Step(NamedTuple):
    """An order that a move of the market reaches, and where: sorted, steps are in order.

    `way` is the fraction of the move after which it is reached; at a jump all are at once, triggers
    first.
    """

    way: float
    stage: int
    side: str
    rank: int
    sequence: int
    order: VenueOrder


def price_of(order: VenueOrder) -> int:
    """Return the ticks at which an order is met: its trigger's, else its limit's."""
    watch = order.watch
    return order.ticks if watch is None else watch.trigger or 0


def steps_of(
    resting: Resting,
    watched: list[VenueOrder],
    before: Offers | None,
    offers: Offers,
) -> list[Step]:
    """Return what a jump to these offers reaches, or a move to them from those before, in order.

    Args:
        resting: The orders that wait.
        watched: Those beside the ladders that are reached.
        before: What was offered before the move; None at a jump.
        offers: What is offered after it.
    """
    steps: list[Step] = []
    for side, offer in offers.items():
        if offer is None:
            continue
        start = None if before is None else before[side]
        reached = resting.reached(side, offer.ticks)
        for order in (*reached, *(one for one in watched if one.side is side)):
            ticks = price_of(order)
            watch = order.watch
            if watch is None:
                stage, rank = 1, ticks if side is OrderSide.SELL else -ticks
            else:
                stage, rank = 0, ticks if watch.rises else -ticks
            way = 0.0 if start is None else _way(start.ticks, offer.ticks, ticks)
            steps.append(Step(way, stage, side.value, rank, order.sequence, order))
    steps.sort(key=_in_order)
    return steps


def between(before: Offers, offers: Offers, step: Step) -> Offers:
    """Return what is offered where a move meets an order, exactly at that order's price."""
    there: Offers = {}
    for side, end in offers.items():
        start = before[side]
        if end is None or start is None:
            there[side] = end
        elif side is step.order.side:
            low, high = sorted((start.ticks, end.ticks))
            there[side] = Offer(min(high, max(low, price_of(step.order))), end.size)
        else:
            moved = round(step.way * (end.ticks - start.ticks))
            there[side] = Offer(start.ticks + moved, end.size)
    return there


def best_first(order: VenueOrder) -> tuple[str, int, int]:
    """Return the key that sorts limit orders by best price, then first-in first-out."""
    return order.side.value, -order.side.sign * order.ticks, order.sequence


def _way(start: int, end: int, ticks: int) -> float:
    """Return after which part of a move from start to end a price is passed."""
    if start == end:
        return 0.0
    return min(1.0, max(0.0, (ticks - start) / (end - start)))


def _in_order(step: Step) -> tuple[float, int, str, int, int]:
    return step[:5]
