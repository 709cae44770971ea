"""What makes a local exchange a living market: seeded random flow, or the replay of a file.

A market moves by steps of a fixed length. It is the same for the same seed and the same number of
steps, as long as clients do not trade; what they take is gone until the market offers anew.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any, Protocol

from workbench.model.data import Quote, Trade
from workbench.model.enums import AggressorSide, OrderSide
from workbench.model.errors import ConfigError
from workbench.model.identifiers import InstrumentId
from workbench.model.instruments import CurrencyPair
from workbench.model.money import Currency
from workbench_exchange.candles import MINUTE_MS, Candle
from workbench_exchange.config import DIGITS, Listing
from workbench_exchange.pair import Pair
from workbench_exchange.venue import Venue

STEP_MS = 100
_YEAR_MS = 365 * 24 * 60 * MINUTE_MS
_LEVELS = 20
_CHANGED_SHARE = 0.05


class Market(Protocol):
    """Moves the symbols of a venue."""

    def open(self, venue: Venue) -> None:
        """Begin, with whatever the venue remembers."""
        ...

    def step(self, venue: Venue) -> None:
        """Go on by `STEP_MS`."""
        ...


class QuietMarket:
    """A market without anybody but the accounts."""

    def open(self, venue: Venue) -> None:
        """Do nothing."""

    def step(self, venue: Venue) -> None:
        """Do nothing."""


class RandomMarket:
    """Prices on a geometric random walk, with a ladder of quotes around them, and takers.

    Args:
        seed: Same seed, same market.
        volatility: Of the walk, a year.
        spread: Distance of two levels of the ladder, as a share of the price.
        depth: Mean worth of a level, in multiples of the symbol's least notional.
        trades_a_second: Mean number of takers, for each symbol.
        trade: Mean worth of what a taker wants, in the same multiples.
        history_minutes: How many one-minute candles there are when it begins.

    Raises:
        ConfigError: If a number is not usable.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        volatility: float = 0.8,
        spread: float = 0.00005,
        depth: float = 4_000.0,
        trades_a_second: float = 5.0,
        trade: float = 200.0,
        history_minutes: int = 600,
    ) -> None:
        if min(volatility, trades_a_second, history_minutes) < 0 or min(spread, depth, trade) <= 0:
            raise ConfigError(
                "a random market needs spread, depth and trade above 0, and volatility,"
                " trades_a_second and history_minutes not below 0"
            )
        self.seed = seed
        self.volatility = volatility
        self.spread = spread
        self.depth = depth
        self.trades_a_second = trades_a_second
        self.trade = trade
        self.history_minutes = history_minutes
        self._walks: list[_Walk] = []

    def open(self, venue: Venue) -> None:
        """Make up what happened before, and quote."""
        self._walks = [_Walk(self, venue, pair) for pair in venue.pairs.values()]

    def step(self, venue: Venue) -> None:
        """Move, quote and trade."""
        for walk in self._walks:
            walk.step(venue)


class _Walk:
    """One symbol of a random market."""

    def __init__(self, market: RandomMarket, venue: Venue, pair: Pair) -> None:
        self._market = market
        self._pair = pair
        self._random = random.Random(f"{market.seed}:{pair.symbol}")
        listing = pair.listing
        remembered = pair.last_ticks
        self._middle = float(remembered or listing.start_price / listing.tick)
        least = listing.min_notional / listing.worth
        self._depth = float(least) * market.depth
        self._trade = float(least) * market.trade
        self._rungs: dict[tuple[OrderSide, int], int] = {}
        if not remembered:
            self._make_history(venue.now_ms())
        self._requote(venue)

    def _move(self, span_ms: int) -> None:
        deviation = self._market.volatility * math.sqrt(span_ms / _YEAR_MS)
        self._middle = max(2.0, self._middle * math.exp(deviation * self._random.gauss(0.0, 1.0)))

    def _make_history(self, now_ms: int) -> None:
        minute = now_ms - now_ms % MINUTE_MS - self._market.history_minutes * MINUTE_MS
        for _ in range(self._market.history_minutes):
            path: list[int] = []
            for _ in range(4):
                path.append(round(self._middle))
                self._move(MINUTE_MS // 4)
            lots = self._lots(self._trade * 60 * self._market.trades_a_second)
            candle = Candle(
                opened_ms=minute,
                open=path[0],
                high=max(path),
                low=min(path),
                close=path[-1],
                lots=lots,
                amount=lots * sum(path) // len(path),
                taken_lots=lots // 2,
                taken_amount=lots // 2 * sum(path) // len(path),
            )
            self._pair.candles.put(candle)
            minute += MINUTE_MS

    def _lots(self, worth: float) -> int:
        """Return a random number of lots worth so much on average, in ticks times lots."""
        return max(1, round(self._random.expovariate(1.0) * worth / self._middle))

    def step(self, venue: Venue) -> None:
        """Go on by one step."""
        self._move(STEP_MS)
        self._requote(venue)
        expected = self._market.trades_a_second * STEP_MS / 1000
        for _ in range(_poisson(self._random, expected)):
            side = OrderSide.BUY if self._random.random() < 0.5 else OrderSide.SELL
            venue.trade(self._pair, side, self._lots(self._trade))
        venue.settle(self._pair)

    def _requote(self, venue: Venue) -> None:
        """Keep a ladder on both sides of the price: a rung stays while the price is near it."""
        book, chance = self._pair.book, self._random.random
        gap = max(1, round(self._middle * self._market.spread))
        centre = int(self._middle // gap)
        wanted = {
            (side, centre - side.sign * distance)
            for side in OrderSide
            for distance in range(1, _LEVELS + 1)
        }
        for key, number in list(self._rungs.items()):
            if key not in wanted or number not in book or chance() < _CHANGED_SHARE:
                book.cancel(number)
                del self._rungs[key]
        # Sorted: a set's order is not the same in every run.
        for side, rung in sorted(wanted - self._rungs.keys()):
            ticks = rung * gap + self._random.randrange(gap)
            if ticks > 0:
                lots = self._lots(self._depth)
                self._rungs[side, rung] = venue.quote(self._pair, side, ticks, lots)


class ReplayMarket:
    """Quotes and trades of stored market data, at the pace at which they came.

    Args:
        data: For each symbol what `workbench.history.load` takes (a file of quotes or trades, a
            frame), or data sets that were loaded already; of one alone, what fits one symbol.
        speed: How many times the pace.

    Raises:
        ConfigError: If the speed is not positive.
    """

    def __init__(self, data: Mapping[str, Any], *, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ConfigError(f"speed must be above 0; got {speed}")
        self._data = dict(data)
        self._speed = speed
        self._events: list[tuple[Pair, Quote | Trade]] = []
        self._index = 0
        self._at_ns = 0.0
        self._quoted: dict[tuple[str, OrderSide], int] = {}

    def open(self, venue: Venue) -> None:
        """Load the data and offer what comes first."""
        from workbench.history import load

        for symbol, data in self._data.items():
            pair = venue.pairs.get(symbol)
            if pair is None:
                raise ConfigError(f"there is data of {symbol}; listed are {list(venue.pairs)}")
            for dataset in load(data, [_instrument(pair.listing)]):
                self._events += [
                    (pair, one) for one in dataset.events() if isinstance(one, (Quote, Trade))
                ]
        if not self._events:
            raise ConfigError("the data to replay holds no quotes and no trades")
        self._events.sort(key=lambda event: event[1].ts_event)
        self._index, self._at_ns = 0, float(self._events[0][1].ts_event)
        self._quoted = {}
        self._play(venue)

    def step(self, venue: Venue) -> None:
        """Play what came in the time of one step."""
        self._at_ns += STEP_MS * 1e6 * self._speed
        self._play(venue)

    @property
    def is_over(self) -> bool:
        """Return whether all of it was played."""
        return self._index >= len(self._events)

    def _play(self, venue: Venue) -> None:
        while not self.is_over and self._events[self._index][1].ts_event <= self._at_ns:
            pair, event = self._events[self._index]
            self._index += 1
            if isinstance(event, Quote):
                self._quote(venue, pair, event)
            else:
                _take(venue, pair, event)
            venue.settle(pair)

    def _quote(self, venue: Venue, pair: Pair, quote: Quote) -> None:
        offers = {OrderSide.BUY: (quote.bid, quote.bid_size)}
        offers[OrderSide.SELL] = (quote.ask, quote.ask_size)
        for side in offers:
            pair.book.cancel(self._quoted.get((pair.symbol, side), 0))
        for side, (price, size) in offers.items():
            ticks, lots = _on_grid(pair.listing, price, size)
            if ticks > 0 and lots > 0:
                self._quoted[pair.symbol, side] = venue.quote(pair, side, ticks, lots)


def _on_grid(listing: Listing, price: float, size: float) -> tuple[int, int]:
    """Return whole ticks and lots, 0 for what is not a number."""
    if not (math.isfinite(price) and math.isfinite(size)):
        return 0, 0
    return round(price / float(listing.tick)), round(size / float(listing.step))


def _take(venue: Venue, pair: Pair, trade: Trade) -> None:
    """Let a stored trade's taker take; what nobody offered, they trade among themselves."""
    ticks, lots = _on_grid(pair.listing, trade.price, trade.size)
    if ticks <= 0 or lots <= 0:
        return
    side = OrderSide.SELL if trade.aggressor is AggressorSide.SELLER else OrderSide.BUY
    maker = venue.quote(pair, side.opposite, ticks, lots)
    venue.trade(pair, side, lots, limit=ticks)
    pair.book.cancel(maker)


def _instrument(listing: Listing) -> CurrencyPair:
    quote = Currency(listing.quote, DIGITS)
    return CurrencyPair(
        id=InstrumentId(f"{listing.base}/{listing.quote}.LOCAL"),
        base_currency=Currency(listing.base, DIGITS),
        quote_currency=quote,
        settlement_currency=quote,
        price_increment=listing.tick,
        quantity_increment=listing.step,
    )


def _poisson(source: random.Random, expected: float) -> int:
    """Return a random count with a given mean (Knuth's product of uniform numbers)."""
    limit, product, count = math.exp(-expected), source.random(), 0
    while product > limit:
        product *= source.random()
        count += 1
    return count
