"""The order factory: `strategy.orders.market(...)`, `.limit(...)`, `.bracket(...)` and the others.

Quantities and prices are `Decimal`, `int`, text, or a float within 1e-6 of the instrument's grid.
Nothing is rounded silently: a number off the grid goes into the order as it is, and risk denies it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Unpack

from workbench.engines.cache import Cache
from workbench.model.enums import (
    ContingencyType,
    OrderSide,
    OrderType,
    TrailingOffsetType,
    parse_enum,
)
from workbench.model.errors import ConfigError
from workbench.model.identifiers import ClientOrderIds, InstrumentId, StrategyId
from workbench.model.instruments import Instrument, Number, to_decimal
from workbench.model.order_lists import Bracket, OrderList, link, make_children
from workbench.model.orders import Order
from workbench.runtime.clock import Clock
from workbench.trading.order_options import (
    LimitOptions,
    MarketOptions,
    OrderOptions,
    TrailingLimitOptions,
    TrailingOptions,
    TriggerLimitOptions,
    TriggerOptions,
    read_options,
)


class OrderFactory:
    """Makes the orders of one strategy, each with an id of its own.

    Every method takes an instrument's id `SYMBOL.VENUE`, a side `"buy"` or `"sell"`, a positive
    quantity on the instrument's step grid, and prices on its tick grid. All raise `ConfigError` if
    a word, number or option cannot be read.

    Args:
        strategy_id: Whose orders.
        cache: Where instruments are.
        clock: For `ts_init`.
        ids: Counts out client order ids.
    """

    def __init__(
        self, strategy_id: StrategyId, cache: Cache, clock: Clock, ids: ClientOrderIds
    ) -> None:
        self._strategy_id = strategy_id
        self._cache = cache
        self._clock = clock
        self._ids = ids

    @property
    def ids(self) -> ClientOrderIds:
        """Return what counts out the ids of its orders."""
        return self._ids

    def market(
        self,
        instrument_id: str,
        side: OrderSide | str,
        quantity: Number,
        **options: Unpack[MarketOptions],
    ) -> Order:
        """Return an order that takes the best price there is.

        Args:
            instrument_id: `SYMBOL.VENUE`.
            side: `"buy"` or `"sell"`.
            quantity: Positive, on the instrument's step grid.
            **options: See `MarketOptions`.
        """
        return self._make(OrderType.MARKET, instrument_id, side, quantity, None, None, options)

    def limit(
        self,
        instrument_id: str,
        side: OrderSide | str,
        quantity: Number,
        price: Number,
        **options: Unpack[LimitOptions],
    ) -> Order:
        """Return an order at `price` or better.

        Args:
            instrument_id: `SYMBOL.VENUE`.
            side: `"buy"` or `"sell"`.
            quantity: Positive, on the instrument's step grid.
            price: Positive, on the instrument's tick grid.
            **options: See `LimitOptions`.
        """
        return self._make(OrderType.LIMIT, instrument_id, side, quantity, price, None, options)

    def market_to_limit(
        self,
        instrument_id: str,
        side: OrderSide | str,
        quantity: Number,
        **options: Unpack[LimitOptions],
    ) -> Order:
        """Return an order that takes the best price; what is left rests at that price.

        Arguments as for `market`.
        """
        kind = OrderType.MARKET_TO_LIMIT
        return self._make(kind, instrument_id, side, quantity, None, None, options)

    def stop_market(
        self,
        instrument_id: str,
        side: OrderSide | str,
        quantity: Number,
        trigger_price: Number,
        **options: Unpack[TriggerOptions],
    ) -> Order:
        """Return a market order for when the price gets as bad as its trigger.

        A buy waits above the market, a sale below it.

        Args:
            instrument_id: `SYMBOL.VENUE`.
            side: `"buy"` or `"sell"`.
            quantity: Positive, on the instrument's step grid.
            trigger_price: On the instrument's tick grid.
            **options: See `TriggerOptions`.
        """
        kind = OrderType.STOP_MARKET
        return self._make(kind, instrument_id, side, quantity, None, trigger_price, options)

    def stop_limit(
        self,
        instrument_id: str,
        side: OrderSide | str,
        quantity: Number,
        price: Number,
        trigger_price: Number,
        **options: Unpack[TriggerLimitOptions],
    ) -> Order:
        """Return a limit order for when the price gets as bad as its trigger.

        Arguments as for `stop_market`, with the limit's `price`.
        """
        kind = OrderType.STOP_LIMIT
        return self._make(kind, instrument_id, side, quantity, price, trigger_price, options)

    def market_if_touched(
        self,
        instrument_id: str,
        side: OrderSide | str,
        quantity: Number,
        trigger_price: Number,
        **options: Unpack[TriggerOptions],
    ) -> Order:
        """Return a market order for when the price gets as good as its trigger.

        A buy waits below the market, a sale above it; arguments as for `stop_market`.
        """
        kind = OrderType.MARKET_IF_TOUCHED
        return self._make(kind, instrument_id, side, quantity, None, trigger_price, options)

    def limit_if_touched(
        self,
        instrument_id: str,
        side: OrderSide | str,
        quantity: Number,
        price: Number,
        trigger_price: Number,
        **options: Unpack[TriggerLimitOptions],
    ) -> Order:
        """Return a limit order for when the price gets as good as its trigger.

        Arguments as for `stop_limit`.
        """
        kind = OrderType.LIMIT_IF_TOUCHED
        return self._make(kind, instrument_id, side, quantity, price, trigger_price, options)

    def trailing_stop_market(
        self,
        instrument_id: str,
        side: OrderSide | str,
        quantity: Number,
        trailing_offset: Number,
        **options: Unpack[TrailingOptions],
    ) -> Order:
        """Return a stop whose trigger follows the market at a distance, and never goes back.

        Args:
            instrument_id: `SYMBOL.VENUE`.
            side: `"buy"` or `"sell"`.
            quantity: Positive, on the instrument's step grid.
            trailing_offset: How far the trigger follows behind the market.
            **options: See `TrailingOptions`.
        """
        kind = OrderType.TRAILING_STOP_MARKET
        return self._trailing(kind, instrument_id, side, quantity, trailing_offset, None, options)

    def trailing_stop_limit(
        self,
        instrument_id: str,
        side: OrderSide | str,
        quantity: Number,
        trailing_offset: Number,
        limit_offset: Number,
        **options: Unpack[TrailingLimitOptions],
    ) -> Order:
        """Return a trailing stop that becomes a limit order when its trigger is reached.

        Args:
            instrument_id: `SYMBOL.VENUE`.
            side: `"buy"` or `"sell"`.
            quantity: Positive, on the instrument's step grid.
            trailing_offset: How far the trigger follows behind the market.
            limit_offset: How far beyond its trigger the limit lies, above it for a buy.
            **options: See `TrailingLimitOptions`.
        """
        kind = OrderType.TRAILING_STOP_LIMIT
        return self._trailing(
            kind, instrument_id, side, quantity, trailing_offset, limit_offset, options
        )

    # Orders that belong together

    def bracket(
        self,
        instrument_id: str,
        side: OrderSide | str,
        quantity: Number,
        *,
        stop_loss: Number | None = None,
        take_profit: Number | None = None,
        entry_price: Number | None = None,
        entry_trigger_price: Number | None = None,
        **options: Unpack[OrderOptions],
    ) -> Bracket:
        """Return an entry with its stop-loss and take-profit, for `submit_order_list`.

        The exits, a STOP_MARKET and a LIMIT, reduce only; they work once the entry fills, for as
        much as it filled, and a fill of one leaves the other as much as it has left itself.

        Args:
            instrument_id: `SYMBOL.VENUE`.
            side: That of the entry.
            quantity: Positive, on the instrument's step grid.
            stop_loss: The trigger of the stop-loss.
            take_profit: The price of the take-profit.
            entry_price: Makes the entry a limit order.
            entry_trigger_price: Makes the entry a stop order.
            **options: Of the entry; tags and the emulation trigger are those of the exits too.

        Raises:
            ConfigError: If there is no exit, or a word, number or option cannot be read.
        """
        if stop_loss is None and take_profit is None:
            raise ConfigError("a bracket has stop_loss=..., take_profit=..., or both")
        entry_type = _ENTRY_TYPES[entry_price is not None, entry_trigger_price is not None]
        entry = self._make(
            entry_type, instrument_id, side, quantity, entry_price, entry_trigger_price, options
        )
        other = entry.side.opposite
        shared: dict[str, Any] = {"reduce_only": True, "tags": options.get("tags", ())}
        stop_options = {**shared, "emulation_trigger": options.get("emulation_trigger")}
        stop = limit = None
        if stop_loss is not None:
            kind = OrderType.STOP_MARKET
            stop = self._make(kind, instrument_id, other, quantity, None, stop_loss, stop_options)
        if take_profit is not None:
            kind = OrderType.LIMIT
            limit = self._make(kind, instrument_id, other, quantity, take_profit, None, shared)
        return Bracket(self._ids.next_list(), entry, stop, limit)

    def oco(self, *orders: Order) -> OrderList:
        """Return a list in which the first fill of one order cancels the others."""
        return self._siblings(orders, ContingencyType.OCO)

    def ouo(self, *orders: Order) -> OrderList:
        """Return a list in which a fill of one leaves the others as much as it has left itself."""
        return self._siblings(orders, ContingencyType.OUO)

    def oto(self, parent: Order, *children: Order) -> OrderList:
        """Return a list whose children work once the parent fills, for as much as it filled."""
        if not children:
            raise ConfigError("an OTO list is a parent and one child or more")
        made = OrderList(self._ids.next_list(), (parent, *children))
        make_children(parent, children)
        return made

    def together(self, *orders: Order) -> OrderList:
        """Return a list of orders that only leave together."""
        return OrderList(self._ids.next_list(), orders)

    def _siblings(self, orders: tuple[Order, ...], contingency: ContingencyType) -> OrderList:
        if len(orders) < 2:
            raise ConfigError(f"{contingency.value} links two orders or more; got {len(orders)}")
        made = OrderList(self._ids.next_list(), orders)
        link(orders, contingency)
        return made

    # How they are made

    def _trailing(
        self,
        kind: OrderType,
        instrument_id: str,
        side: OrderSide | str,
        quantity: Number,
        trailing_offset: Number,
        limit_offset: Number | None,
        options: Any,
    ) -> Order:
        given: dict[str, Any] = dict(options)
        price, trigger_price = given.pop("price", None), given.pop("trigger_price", None)
        activation = given.pop("activation_price", None)
        terms: dict[str, Any] = {
            "trailing_offset": to_decimal(trailing_offset, "trailing_offset"),
            "trailing_offset_type": parse_enum(
                TrailingOffsetType, given.pop("trailing_offset_type", "price"), "offset type"
            ),
        }
        if limit_offset is not None:
            terms["limit_offset"] = to_decimal(limit_offset, "limit_offset")
        if activation is not None:
            instrument = self._cache.instrument(instrument_id)
            terms["activation_price"] = _exact_price(instrument, activation, "activation_price")
        return self._make(
            kind, instrument_id, side, quantity, price, trigger_price, given, terms=terms
        )

    def _make(
        self,
        order_type: OrderType,
        instrument_id: str,
        side: OrderSide | str,
        quantity: Number,
        price: Number | None,
        trigger_price: Number | None,
        options: Any,
        *,
        terms: dict[str, Any] | None = None,
    ) -> Order:
        instrument = self._cache.instrument(instrument_id)
        if instrument is None or (options and options.get("quote_quantity")):
            # An instrument that is not known is denied by name; the number is kept as it is.
            exact_quantity = to_decimal(quantity, "quantity")
        else:
            exact_quantity = instrument.exact_quantity(quantity)
        if options or terms:
            chosen = read_options(order_type, options, exact_quantity, terms or {})
        else:
            chosen = _NO_OPTIONS
        now = self._clock.timestamp_ns()
        return Order(
            strategy_id=self._strategy_id,
            instrument_id=InstrumentId(instrument_id),
            client_order_id=self._ids.next(),
            side=parse_enum(OrderSide, side, "side"),
            order_type=order_type,
            quantity=exact_quantity,
            time_in_force=chosen.time_in_force,
            price=None if price is None else _exact_price(instrument, price, "price"),
            trigger_price=(
                None
                if trigger_price is None
                else _exact_price(instrument, trigger_price, "trigger_price")
            ),
            post_only=chosen.post_only,
            reduce_only=chosen.reduce_only,
            position_id=chosen.position_id,
            terms=chosen.terms,
            ts_init=now,
            ts_last=now,
        )


_NO_OPTIONS = read_options(OrderType.MARKET, {}, Decimal(0), {})

_ENTRY_TYPES = {
    (False, False): OrderType.MARKET,
    (True, False): OrderType.LIMIT,
    (False, True): OrderType.STOP_MARKET,
    (True, True): OrderType.STOP_LIMIT,
}
"""The type of a bracket's entry, by whether it has a price and a trigger."""


def _exact_price(instrument: Instrument | None, value: Number, what: str) -> Decimal:
    return to_decimal(value, what) if instrument is None else instrument.exact_price(value)
