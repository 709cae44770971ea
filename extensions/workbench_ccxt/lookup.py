"""Orders and fills as the exchange has them, asked for; orders of several legs as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from workbench.model.enums import OrderStatus
from workbench.model.identifiers import ClientOrderId, InstrumentId
from workbench.model.money import ZERO
from workbench.model.reports import FillReport, OrderStatusReport
from workbench.venues.contract import OrderChange, OrderQuery
from workbench.venues.errors import OrderNotFoundError, VenueError, VenueRejectedError
from workbench_ccxt import orders as translated
from workbench_ccxt.failures import told
from workbench_ccxt.history import forward
from workbench_ccxt.legs import Legs, base_of, leg_of
from workbench_ccxt.markets import symbol_at
from workbench_ccxt.plugin import AMENDING, EXPIRIES_S
from workbench_ccxt.reading import Reader, filled_in

_MARGIN_S = 5.0


class Lookup:
    """Asks an exchange for orders and fills.

    Args:
        name: The exchange.
        exchange: Returns the object of ccxt.
        reader: Turns what comes into reports.
        legs: The orders that were made anew.
        clock_ns: The node's time.
    """

    def __init__(
        self,
        name: str,
        exchange: Callable[[], Any],
        reader: Reader,
        legs: Legs,
        clock_ns: Callable[[], int],
    ) -> None:
        self.clock_ns = clock_ns
        self._name = name
        self._exchange = exchange
        self._reader = reader
        self._legs = legs

    async def ended(self, change: OrderChange) -> OrderStatusReport:
        """Return the old leg once the exchange says that it is cancelled."""
        leg = leg_of(change.client_order_id, self._legs.newest(change.client_order_id))
        found = await self.fetch_one(leg, change.venue_order_id, change.instrument_id)
        if found is None or found.status not in translated.ENDED:
            raise VenueError(f"{leg} is not known to be cancelled: nothing was made anew")
        return found

    async def filled_before(
        self, name: ClientOrderId, leg: int, instrument_id: InstrumentId
    ) -> Decimal:
        """Return what filled in the legs before one; they are asked for where it is not known."""
        known = self._legs.filled_before(name, leg)
        if known is not None:
            return known
        filled = ZERO
        for earlier in range(leg):
            found = await self.fetch_one(leg_of(name, earlier), None, instrument_id)
            filled += ZERO if found is None else found.filled_quantity
        self._legs.begin(name, leg, filled)
        return filled

    async def whole(self, report: OrderStatusReport) -> OrderStatusReport | None:
        """Return the report of a leg as one of its order; None if a later leg tells more."""
        if report.client_order_id is not None:
            base, leg = base_of(report.client_order_id)
            await self.filled_before(base, leg, report.instrument_id)
        return self._legs.whole(report)

    async def one(self, query: OrderQuery) -> list[OrderStatusReport]:
        """Return the order that is asked for, or nothing if there is none.

        Raises:
            VenueError: If a part of it may still be on its way.
        """
        (instrument_id,) = query.instrument_ids[:1] or (None,)
        if instrument_id is None:
            raise VenueError(f"an order is asked for with its instrument; got {query!r}")
        name = query.client_order_id
        if name is None:
            found = await self.fetch_one(None, query.venue_order_id, instrument_id)
            whole = None if found is None else await self.whole(found)
            return [] if whole is None else [whole]
        leg = self._legs.newest(name)
        venue_order_id = None if leg else query.venue_order_id
        found = await self.fetch_one(leg_of(name, leg), venue_order_id, instrument_id)
        if found is not None and found.client_order_id is not None:
            leg = max(leg, base_of(found.client_order_id)[1])
        # A leg that was cancelled may have been made anew, with an answer that was lost.
        while found is not None and self._may_follow(name, found.status):
            later = await self.fetch_one(leg_of(name, leg + 1), None, instrument_id)
            if later is None:
                break
            before = await self.filled_before(name, leg, instrument_id)
            self._legs.begin(name, leg + 1, before + found.filled_quantity)
            leg, found = leg + 1, later
        if found is None and leg:
            self._check_never_came(name, leg)
            self._legs.withdraw(name, leg)
            return await self.one(query)
        whole = None if found is None else await self.whole(found)
        return [] if whole is None else [whole]

    def _check_never_came(self, name: ClientOrderId, leg: int) -> None:
        """Refuse to say what became of an order while a leg of it may be on its way."""
        sent_ns, expiry_s = self._legs.sent_ns.get(name), EXPIRIES_S.get(self._name)
        if sent_ns is None:
            return
        age_s = (self.clock_ns() - sent_ns) / 1e9
        if expiry_s is None or age_s < expiry_s + _MARGIN_S:
            raise VenueError(
                f"{leg_of(name, leg)} was sent and not answered; {self._name} does not know it yet"
            )

    def _may_follow(self, name: ClientOrderId, status: OrderStatus) -> bool:
        is_ours = self._name not in AMENDING and name.startswith("O-")
        return is_ours and status is OrderStatus.CANCELED

    async def fetch_one(
        self,
        name: ClientOrderId | None,
        venue_order_id: str | None,
        instrument_id: InstrumentId,
    ) -> OrderStatusReport | None:
        """Return one order as it is at the exchange, None if there is none."""
        exchange, symbol = self._exchange(), symbol_at(instrument_id)
        order_id, params = handle_of(self._reader, name, venue_order_id)
        try:
            with told(self._name):
                if order_id is None and not exchange.has.get("fetchOrder"):
                    raw = await self._search(exchange, symbol, params["clientOrderId"])
                else:
                    raw = await exchange.fetch_order(order_id, symbol, params)
        except OrderNotFoundError:
            return None
        except VenueRejectedError as error:
            if order_id is not None or error.code not in ("ArgumentsRequired", "NotSupported"):
                raise
            with told(self._name):
                raw = await self._search(exchange, symbol, params["clientOrderId"])
        if raw is None:
            return None
        ours = None if name is None else self._reader.known.get(name)
        return self._reader.status({"symbol": symbol, **filled_in(raw), **_named(params)}, ours)

    async def _search(self, exchange: Any, symbol: str, client_id: str) -> Any:
        """Return an order by our id where the exchange cannot be asked by it."""
        for name in ("fetch_open_orders", "fetch_closed_orders", "fetch_canceled_orders"):
            if not exchange.has.get(_CAMEL[name]):
                continue
            for raw in await getattr(exchange, name)(symbol):
                if raw.get("clientOrderId") == client_id:
                    return raw
        return None

    async def fills(self, symbol: str, since: int | None) -> list[FillReport]:
        """Return the account's fills in a symbol since a time in ms, page by page."""
        exchange = self._exchange()
        with told(self._name):
            if since is None:
                rows = await exchange.fetch_my_trades(symbol)
            else:
                rows = await forward(
                    lambda start, limit: exchange.fetch_my_trades(symbol, start, limit),
                    since,
                    2**62,
                    lambda raw: int(raw["timestamp"]),
                    lambda raw: (raw["id"], raw["order"]),
                )
            return [self._reader.fill(raw) for raw in rows]


_CAMEL = {
    "fetch_open_orders": "fetchOpenOrders",
    "fetch_closed_orders": "fetchClosedOrders",
    "fetch_canceled_orders": "fetchCanceledOrders",
}


def _named(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the id an order was asked for by."""
    return {name: value for name, value in params.items() if name == "clientOrderId"}


def handle_of(
    reader: Reader, client_order_id: ClientOrderId | None, venue_order_id: str | None
) -> tuple[str | None, dict[str, Any]]:
    """Return how an order is named to ccxt: by the exchange's id, else by ours."""
    if venue_order_id is not None:
        return str(venue_order_id), {}
    if client_order_id is None:
        return None, {}
    return None, {"clientOrderId": reader.ids.outgoing(client_order_id)}
