"""Orders at an exchange of ccxt."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from workbench.model.enums import AccountType
from workbench.model.events import AccountState, OrderInitialized
from workbench.model.identifiers import ClientOrderId, InstrumentId
from workbench.model.money import ZERO
from workbench.model.reports import FillReport, OrderStatusReport, PositionReport
from workbench.venues.contract import (
    BrokerContext,
    BrokerSink,
    FillQuery,
    OrderChange,
    OrderQuery,
    OrderTarget,
)
from workbench.venues.errors import (
    NotSentError,
    OrderNotFoundError,
    VenueError,
    VenueRejectedError,
)
from workbench.venues.plugin import RateLimit
from workbench_ccxt import orders as translated
from workbench_ccxt.balances import Balances
from workbench_ccxt.client_ids import ClientIds
from workbench_ccxt.failures import told
from workbench_ccxt.history import forward
from workbench_ccxt.legs import Legs, base_of, leg_of
from workbench_ccxt.markets import number, symbol_at
from workbench_ccxt.orders import Terms
from workbench_ccxt.place import place_of
from workbench_ccxt.plugin import AMENDING, CAPABILITIES, CAUTIOUS, EXPIRIES_S, RATE_LIMITS
from workbench_ccxt.session import Session
from workbench_ccxt.tapping import Tap

_log = logging.getLogger(__name__)
_MS = 1_000_000
_REMEMBERED = 20_000
_UNREAD_S = 5.0
_MARGIN_S = 5.0


class CcxtBrokerd:
    """Orders, fills and balances; see `workbench_ccxt.place.Place` for the options.

    Orders go over REST, which every exchange has. What becomes of them comes by the account's
    streams, and is asked for where those fail.

    Args:
        context: The account.
        rate_limits: What the exchange allows, where it is not known here.
        exchange, market, venue, sandbox, base_url, urls, options: Of `Place`.
    """

    def __init__(
        self,
        context: BrokerContext,
        *,
        exchange: str,
        market: str = "spot",
        venue: str = "",
        sandbox: bool = False,
        base_url: str = "",
        urls: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        rate_limits: Sequence[RateLimit] | None = None,
    ) -> None:
        self.place = place_of(
            {
                "exchange": exchange,
                "market": market,
                "venue": venue,
                "sandbox": sandbox,
                "base_url": base_url,
                "urls": urls,
                "options": options,
            }
        )
        self.venue = self.place.venue
        known = RATE_LIMITS.get(exchange, CAUTIOUS)
        self.rate_limits = known if rate_limits is None else tuple(rate_limits)
        self.submit_expiry_s = EXPIRIES_S.get(exchange)
        self.capabilities = CAPABILITIES
        if self.place.is_derivative:
            self.capabilities = msgspec.structs.replace(CAPABILITIES, reduce_only=True)
        else:
            # Not an endpoint of a venue without positions, where none would mean flat.
            self.position_reports: Any = None
        self._clock_ns = context.clock_ns
        self._account_id = context.account_id
        self._credentials = context.credentials
        self._ids = ClientIds(exchange)
        self._legs = Legs()
        self._known: dict[ClientOrderId, Terms] = {}
        self._names: dict[tuple[str, str], ClientOrderId] = {}
        kind = AccountType.MARGIN if self.place.is_derivative else AccountType.CASH
        self._balances = Balances(self._account_id, kind)
        self._session: Session | None = None
        self._sink: BrokerSink | None = None
        self._markets: tuple[Any, Any] | None = None
        self._unread_at_s = -_UNREAD_S
        self._unread: asyncio.TimerHandle | None = None

    # Its life

    async def connect(self, sink: BrokerSink) -> None:
        """Log in, and listen to the account's orders, fills and balances."""
        self._sink = sink
        self._session = session = Session(
            self.place,
            has_limiter=False,  # the client keeps `rate_limits`; ccxt's own costs 250 ms an order
            on_alive=sink.alive,
            on_lost=sink.lost,
            on_unread=self._note_unread,
        )
        await session.open(self._credentials, self._markets)
        exchange = session.exchange
        with told(self.place.exchange):
            exchange.check_required_credentials()
        self._markets = exchange.markets, exchange.currencies
        exchange.myTrades = Tap(self._take_trade)
        exchange.orders = Tap(self._take_order)
        watchers: list[asyncio.Task[None]] = []
        for name, again in (
            ("watchMyTrades", exchange.watch_my_trades),
            ("watchOrders", exchange.watch_orders),
            ("watchBalance", self._watch_balance),
        ):
            if exchange.has.get(name):
                watchers.append(session.watch(again, name))
        if watchers:
            await session.settled(watchers)
        else:
            _log.warning("%s has no account streams in ccxt: it is asked instead", self.venue)

    async def disconnect(self) -> None:
        """Close everything."""
        session, self._session = self._session, None
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        if session is not None:
            await session.close()

    def _note_unread(self, reason: str) -> None:
        """Have asked for what a message that could not be read may have told; not too often."""
        _log.warning("%s: a message could not be read: %s", self.venue, reason)
        loop = asyncio.get_running_loop()
        if self._unread is None:
            due_s = max(loop.time(), self._unread_at_s + _UNREAD_S)
            self._unread = loop.call_at(due_s, self._tell_unread, reason)

    def _tell_unread(self, reason: str) -> None:
        self._unread = None
        self._unread_at_s = asyncio.get_running_loop().time()
        if self._sink is not None:
            self._sink.gap(f"a message could not be read: {reason}")

    @property
    def _open(self) -> Session:
        if self._session is None:
            raise NotSentError(f"{self.place.exchange} is not connected: call connect first")
        return self._session

    @property
    def _exchange(self) -> Any:
        return self._open.check()

    # What the streams tell

    def _take_trade(self, raw: Any) -> None:
        self._tell(self._fill(raw))

    def _take_order(self, raw: Any) -> None:
        report = self._status(raw)
        base, leg = base_of(report.client_order_id or ClientOrderId(""))
        if self._legs.filled_before(base, leg) is None:
            # Of an earlier run: its other legs are asked for, with it.
            self._note_unread(f"{base} was cancelled and made anew before")
            return
        whole = self._legs.whole(report)
        if whole is not None:
            self._tell(whole)

    async def _watch_balance(self) -> None:
        raw = await self._exchange.watch_balance()
        self._balances.update(raw)
        self._tell(self._balances.state(self._clock_ns()))

    def _tell(self, report: Any) -> None:
        if self._sink is not None:
            self._sink.report(report)

    def _status(self, raw: Mapping[str, Any], ours: Terms | None = None) -> OrderStatusReport:
        """Return an order of ccxt as a report, under the id that it has at the exchange."""
        name = self._ids.incoming(raw.get("clientOrderId"))
        if name is None:
            name = self._names.get((str(raw.get("symbol")), str(raw.get("id"))))
        if name is None and ours is not None:
            name = ours.client_order_id
        if ours is None and name is not None:
            ours = self._known.get(name)
        report = translated.status_report(
            raw, ours, name, self._account_id, self.venue, self._clock_ns()
        )
        if name is not None:
            _remember(self._names, (raw["symbol"], str(raw["id"])), name)
        return report

    def _fill(self, raw: Mapping[str, Any]) -> FillReport:
        name = self._names.get((str(raw.get("symbol")), str(raw.get("order"))))
        if name is not None:
            name = base_of(name)[0]
        return translated.fill_report(raw, name, self._account_id, self.venue, self._clock_ns())

    # Commands

    async def submit(self, order: OrderInitialized) -> OrderStatusReport | None:
        """Send an order once, under its own id."""
        report = await self._create(order.instrument_id, translated.terms_of(order))
        return self._legs.whole(report)

    async def _create(self, instrument_id: InstrumentId, terms: Terms) -> OrderStatusReport:
        exchange, symbol = self._exchange, symbol_at(instrument_id)
        wire = translated.wire(terms, self._ids.outgoing(terms.client_order_id))
        _remember(self._known, terms.client_order_id, terms)
        with told(self.place.exchange):
            _check_grid(exchange, symbol, terms)
            raw = await exchange.create_order(
                symbol, wire.kind, wire.side, wire.amount, wire.price, wire.params
            )
        about = {"symbol": symbol, "side": wire.side}
        report = self._status({**about, **_filled_in(raw)}, terms)
        for trade in raw.get("trades") or ():
            if trade.get("id") and trade.get("fee"):
                named = {**about, **_filled_in(trade), "order": report.venue_order_id}
                self._tell(self._fill(named))
        return report

    async def cancel(self, target: OrderTarget) -> OrderStatusReport | None:
        """Cancel an order."""
        report = await self._cancel(target)
        return None if report is None else self._legs.whole(report)

    async def _cancel(self, target: OrderTarget) -> OrderStatusReport | None:
        exchange, symbol = self._exchange, symbol_at(target.instrument_id)
        name = leg_of(target.client_order_id, self._legs.newest(target.client_order_id))
        order_id, params = self._handle_of(name, target.venue_order_id)
        with told(self.place.exchange):
            raw = await exchange.cancel_order(order_id, symbol, params)
        if not raw or raw.get("status") is None or raw.get("amount") is None:
            return None
        # Binance answers with the id of the cancel itself.
        named = {"symbol": symbol, **_filled_in(raw), "clientOrderId": self._ids.outgoing(name)}
        return self._status(named, self._known.get(name))

    def _handle_of(
        self, client_order_id: ClientOrderId | None, venue_order_id: str | None
    ) -> tuple[str | None, dict[str, Any]]:
        """Return how an order is named to ccxt: by the exchange's id, else by ours."""
        if venue_order_id is not None:
            return str(venue_order_id), {}
        if client_order_id is None:
            return None, {}
        return None, {"clientOrderId": self._ids.outgoing(client_order_id)}

    async def cancel_all(self, instrument_id: InstrumentId) -> None:
        """Cancel every open order of the account in an instrument."""
        exchange, symbol = self._exchange, symbol_at(instrument_id)
        with told(self.place.exchange):
            if exchange.has.get("cancelAllOrders"):
                try:
                    await exchange.cancel_all_orders(symbol)
                except Exception as error:
                    if type(error).__name__ != "OrderNotFound":  # there was none to cancel
                        raise
                return
            for raw in await exchange.fetch_open_orders(symbol):
                await exchange.cancel_order(raw["id"], symbol)

    # Changes

    async def modify(self, change: OrderChange) -> OrderStatusReport | None:
        """Change an order: amended where the exchange keeps it, else cancelled and made anew.

        What is made anew is what was left when the old one ended, so that never more fills than
        was asked for.
        """
        if self.place.exchange in AMENDING:
            return await self._amend(change)
        name = change.client_order_id
        self._legs.replacing.add(name)
        try:
            return await self._replace(change)
        finally:
            self._legs.replacing.discard(name)

    async def _amend(self, change: OrderChange) -> OrderStatusReport | None:
        exchange, symbol = self._exchange, symbol_at(change.instrument_id)
        terms = translated.changed(change, self._known.get(change.client_order_id))
        wire = translated.wire(terms, change.client_order_id)
        order_id, params = self._handle_of(change.client_order_id, change.venue_order_id)
        if "triggerPrice" in wire.params:
            params["triggerPrice"] = wire.params["triggerPrice"]
        with told(self.place.exchange):
            await exchange.edit_order(
                order_id, symbol, wire.kind, wire.side, wire.amount, wire.price, params
            )
        return None

    async def _replace(self, change: OrderChange) -> OrderStatusReport | None:
        name = change.client_order_id
        old_leg = self._legs.newest(name)
        new_name = leg_of(name, old_leg + 1)
        self._ids.outgoing(new_name)  # refused before anything is cancelled
        old = await self._cancel(change)
        if old is None:
            old = await self._ended(change)
        before = await self._filled_before(name, old_leg, change.instrument_id)
        filled = before + old.filled_quantity
        left = change.quantity - filled
        if left <= 0:
            self._legs.replacing.discard(name)
            return self._legs.whole(old)
        self._legs.begin(name, old_leg, before)
        terms = translated.changed(change, self._known.get(name))
        terms = terms._replace(client_order_id=new_name, quantity=left)
        try:
            self._legs.begin(name, old_leg + 1, filled)
            self._legs.sent_ns[name] = self._clock_ns()
            report = await self._create(change.instrument_id, terms)
        except VenueRejectedError as error:
            _log.warning("%s: %s was cancelled, and not made anew: %s", self.venue, name, error)
            self._legs.withdraw(name, old_leg + 1)
            self._legs.replacing.discard(name)
            return self._legs.whole(old)
        self._legs.sent_ns.pop(name, None)
        return self._legs.whole(report)

    async def _ended(self, change: OrderChange) -> OrderStatusReport:
        """Return the old leg once the exchange says that it is cancelled."""
        leg = leg_of(change.client_order_id, self._legs.newest(change.client_order_id))
        found = await self._fetch_one(leg, change.venue_order_id, change.instrument_id)
        if found is None or found.status not in translated.ENDED:
            raise VenueError(f"{leg} is not known to be cancelled: nothing was made anew")
        return found

    async def _filled_before(
        self, name: ClientOrderId, leg: int, instrument_id: InstrumentId
    ) -> Decimal:
        """Return what filled in the legs before one; they are asked for where it is not known."""
        known = self._legs.filled_before(name, leg)
        if known is not None:
            return known
        filled = ZERO
        for earlier in range(leg):
            found = await self._fetch_one(leg_of(name, earlier), None, instrument_id)
            filled += ZERO if found is None else found.filled_quantity
        self._legs.begin(name, leg, filled)
        return filled

    # Reports

    async def order_status_reports(self, query: OrderQuery) -> list[OrderStatusReport]:
        """Return the open orders, or the one that is asked for."""
        if query.client_order_id is not None or query.venue_order_id is not None:
            return await self._one(query)
        exchange = self._exchange
        symbols = [symbol_at(one) for one in query.instrument_ids] or [None]
        with told(self.place.exchange):
            pages = await asyncio.gather(*(exchange.fetch_open_orders(one) for one in symbols))
        reports = [self._status(raw) for page in pages for raw in page]
        whole = [await self._whole(report) for report in reports]
        return [one for one in whole if one is not None]

    async def _whole(self, report: OrderStatusReport) -> OrderStatusReport | None:
        if report.client_order_id is not None:
            base, leg = base_of(report.client_order_id)
            await self._filled_before(base, leg, report.instrument_id)
        return self._legs.whole(report)

    async def _one(self, query: OrderQuery) -> list[OrderStatusReport]:
        (instrument_id,) = query.instrument_ids[:1] or (None,)
        if instrument_id is None:
            raise VenueError(f"an order is asked for with its instrument; got {query!r}")
        name = query.client_order_id
        if name is None:
            found = await self._fetch_one(None, query.venue_order_id, instrument_id)
            whole = None if found is None else await self._whole(found)
            return [] if whole is None else [whole]
        leg = self._legs.newest(name)
        venue_order_id = None if leg else query.venue_order_id
        found = await self._fetch_one(leg_of(name, leg), venue_order_id, instrument_id)
        if found is not None and found.client_order_id is not None:
            leg = max(leg, base_of(found.client_order_id)[1])
        # A leg that was cancelled may have been made anew, with an answer that was lost.
        while found is not None and found.status in translated.ENDED and self._may_follow(name):
            later = await self._fetch_one(leg_of(name, leg + 1), None, instrument_id)
            if later is None:
                break
            before = await self._filled_before(name, leg, instrument_id)
            self._legs.begin(name, leg + 1, before + found.filled_quantity)
            leg, found = leg + 1, later
        if found is None and leg:
            self._check_never_came(name, leg)
            self._legs.withdraw(name, leg)
            return await self._one(query)
        whole = None if found is None else await self._whole(found)
        return [] if whole is None else [whole]

    def _check_never_came(self, name: ClientOrderId, leg: int) -> None:
        """Refuse to say what became of an order while a leg of it may be on its way."""
        sent_ns, expiry_s = self._legs.sent_ns.get(name), self.submit_expiry_s
        if sent_ns is None:
            return
        age_s = (self._clock_ns() - sent_ns) / 1e9
        if expiry_s is None or age_s < expiry_s + _MARGIN_S:
            raise VenueError(
                f"{leg_of(name, leg)} was sent and not answered; {self.place.exchange} does not"
                " know it yet"
            )

    def _may_follow(self, name: ClientOrderId) -> bool:
        return self.place.exchange not in AMENDING and name.startswith("O-")

    async def _fetch_one(
        self,
        name: ClientOrderId | None,
        venue_order_id: str | None,
        instrument_id: InstrumentId,
    ) -> OrderStatusReport | None:
        """Return one order as it is at the exchange, None if there is none."""
        exchange, symbol = self._exchange, symbol_at(instrument_id)
        order_id, params = self._handle_of(name, venue_order_id)
        try:
            with told(self.place.exchange):
                if order_id is None and not exchange.has.get("fetchOrder"):
                    raw = await self._search(exchange, symbol, params["clientOrderId"])
                else:
                    raw = await exchange.fetch_order(order_id, symbol, params)
        except OrderNotFoundError:
            return None
        except VenueRejectedError as error:
            if order_id is not None or error.code not in ("ArgumentsRequired", "NotSupported"):
                raise
            with told(self.place.exchange):
                raw = await self._search(exchange, symbol, params["clientOrderId"])
        if raw is None:
            return None
        return self._status(
            {"symbol": symbol, **_filled_in(raw)}, self._known.get(name or ClientOrderId(""))
        )

    async def _search(self, exchange: Any, symbol: str, client_id: str) -> Any:
        """Return an order by our id where the exchange cannot be asked by it."""
        for name in ("fetch_open_orders", "fetch_closed_orders", "fetch_canceled_orders"):
            if not exchange.has.get(_CAMEL[name]):
                continue
            for raw in await getattr(exchange, name)(symbol):
                if raw.get("clientOrderId") == client_id:
                    return raw
        return None

    async def fill_reports(self, query: FillQuery) -> list[FillReport]:
        """Return the account's fills since a time, page by page; of one order where it is named."""
        exchange = self._exchange
        since = None if query.since_ns is None else query.since_ns // _MS
        symbols = [symbol_at(one) for one in query.instrument_ids]
        if not symbols:
            symbols = sorted({symbol for symbol, _ in self._names})
        with told(self.place.exchange):
            pages = await asyncio.gather(
                *(self._fills_of(exchange, symbol, since) for symbol in symbols)
            )
        return [self._fill(raw) for page in pages for raw in page]

    async def _fills_of(self, exchange: Any, symbol: str, since: int | None) -> Sequence[Any]:
        if since is None:
            return await exchange.fetch_my_trades(symbol)
        return await forward(
            lambda start, limit: exchange.fetch_my_trades(symbol, start, limit),
            since,
            2**62,
            lambda raw: int(raw["timestamp"]),
            lambda raw: (raw["id"], raw["order"]),
        )

    async def position_reports(self) -> list[PositionReport]:  # pyright: ignore[reportRedeclaration]
        """Return the net positions that are not flat."""
        with told(self.place.exchange):
            rows = await self._exchange.fetch_positions()
        now = self._clock_ns()
        reports = [
            translated.position_report(raw, self._account_id, self.venue, now) for raw in rows
        ]
        return [report for report in reports if report is not None]

    async def account_state(self) -> AccountState:
        """Return the account's balances."""
        exchange = self._exchange
        for _ in range(3):
            updates = self._balances.updates
            with told(self.place.exchange):
                raw = await exchange.fetch_balance()
            if updates == self._balances.updates:
                break  # else what was streamed meanwhile may be newer
        self._balances.replace(raw)
        return self._balances.state(self._clock_ns())

    # Signs of life

    async def server_time(self) -> int:
        """Return the exchange's time."""
        return await self._open.server_time()

    async def ping(self) -> None:
        """Wait for a sign of life on every socket."""
        await self._open.ping()


_CAMEL = {
    "fetch_open_orders": "fetchOpenOrders",
    "fetch_closed_orders": "fetchClosedOrders",
    "fetch_canceled_orders": "fetchCanceledOrders",
}


def _filled_in(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an answer says, without what it leaves open."""
    return {name: value for name, value in raw.items() if value is not None}


def _named(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the id an order was asked for by."""
    return {name: value for name, value in params.items() if name == "clientOrderId"}


def _check_grid(exchange: Any, symbol: str, terms: Terms) -> None:
    """Refuse what ccxt would round."""
    sent = {"quantity": exchange.amount_to_precision(symbol, f"{terms.quantity:f}")}
    if terms.price is not None:
        sent["price"] = exchange.price_to_precision(symbol, f"{terms.price:f}")
    for name, value in sent.items():
        if number(value) != getattr(terms, name):
            raise VenueRejectedError(
                f"{name} {getattr(terms, name)} is off the grid of {symbol}: it takes {value}"
            )


def _remember(table: dict[Any, Any], key: Any, value: Any) -> None:
    """Keep something, and no more than so much."""
    table[key] = value
    if len(table) > _REMEMBERED:
        for old in list(table)[: _REMEMBERED // 4]:
            del table[old]
