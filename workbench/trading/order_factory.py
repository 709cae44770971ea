"""The order factory: `strategy.orders.market(...)`, `strategy.orders.limit(...)`.

Quantities and prices are `Decimal`, `int`, text, or a float within 1e-6 of the instrument's grid.
Nothing is rounded silently: a number off the grid goes into the order as it is, and risk denies it.
"""

from __future__ import annotations

from decimal import Decimal

from workbench.engines.cache import Cache
from workbench.model.enums import OrderSide, OrderType, TimeInForce, parse_enum
from workbench.model.identifiers import ClientOrderIds, InstrumentId, StrategyId
from workbench.model.instruments import Number, to_decimal
from workbench.model.orders import Order
from workbench.runtime.clock import Clock


class OrderFactory:
    """Makes the orders of one strategy, each with an id of its own.

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

    def market(
        self,
        instrument_id: str,
        side: OrderSide | str,
        quantity: Number,
        *,
        time_in_force: TimeInForce | str = TimeInForce.GTC,
        reduce_only: bool = False,
    ) -> Order:
        """Return an order that takes the best price there is.

        Args:
            instrument_id: `SYMBOL.VENUE`.
            side: `"buy"` or `"sell"`.
            quantity: Positive, on the instrument's step grid.
            time_in_force: `"gtc"`, `"ioc"` or `"fok"`.
            reduce_only: Whether it may only shrink a position.

        Raises:
            ConfigError: If a word or number cannot be read.
        """
        return self._make(
            instrument_id, side, OrderType.MARKET, quantity, None, time_in_force, False, reduce_only
        )

    def limit(
        self,
        instrument_id: str,
        side: OrderSide | str,
        quantity: Number,
        price: Number,
        *,
        time_in_force: TimeInForce | str = TimeInForce.GTC,
        post_only: bool = False,
        reduce_only: bool = False,
    ) -> Order:
        """Return an order at `price` or better.

        Args:
            instrument_id: `SYMBOL.VENUE`.
            side: `"buy"` or `"sell"`.
            quantity: Positive, on the instrument's step grid.
            price: Positive, on the instrument's tick grid.
            time_in_force: `"gtc"`, `"ioc"` or `"fok"`.
            post_only: Reject it rather than let it take liquidity.
            reduce_only: Whether it may only shrink a position.

        Raises:
            ConfigError: If a word or number cannot be read.
        """
        return self._make(
            instrument_id,
            side,
            OrderType.LIMIT,
            quantity,
            price,
            time_in_force,
            post_only,
            reduce_only,
        )

    def _make(
        self,
        instrument_id: str,
        side: OrderSide | str,
        order_type: OrderType,
        quantity: Number,
        price: Number | None,
        time_in_force: TimeInForce | str,
        post_only: bool,
        reduce_only: bool,
    ) -> Order:
        instrument = self._cache.instrument(instrument_id)
        exact_price: Decimal | None = None
        if instrument is None:
            # Risk will deny it by name; the numbers are kept as they are.
            exact_quantity = to_decimal(quantity, "quantity")
            if price is not None:
                exact_price = to_decimal(price, "price")
        else:
            exact_quantity = instrument.exact_quantity(quantity)
            if price is not None:
                exact_price = instrument.exact_price(price)
        now = self._clock.timestamp_ns()
        return Order(
            strategy_id=self._strategy_id,
            instrument_id=InstrumentId(instrument_id),
            client_order_id=self._ids.next(),
            side=parse_enum(OrderSide, side, "side"),
            order_type=order_type,
            quantity=exact_quantity,
            time_in_force=parse_enum(TimeInForce, time_in_force, "time_in_force"),
            price=exact_price,
            post_only=post_only,
            reduce_only=reduce_only,
            ts_init=now,
            ts_last=now,
        )
