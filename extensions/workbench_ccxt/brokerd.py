"""Orders at an exchange of ccxt."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from workbench.model.enums import AccountType
from workbench.model.events import AccountState, OrderInitialized
from workbench.model.identifiers import ClientOrderId, InstrumentId
from workbench.model.reports import FillReport, OrderStatusReport, PositionReport
from workbench.venues.contract import (
    BrokerContext,
    BrokerSink,
    FillQuery,
    OrderChange,
    OrderQuery,
    OrderTarget,
    Permissions,
)
from workbench.venues.errors import (
    NotSentError,
    VenueRejectedError,
)
from workbench.venues.plugin import RateLimit
from workbench_ccxt import orders as translated
from workbench_ccxt.balances import Balances
from workbench_ccxt.client_ids import ClientIds
from workbench_ccxt.failures import told
from workbench_ccxt.legs import Legs, base_of, leg_of
from workbench_ccxt.lookup import Lookup, handle_of
from workbench_ccxt.markets import number, symbol_at
from workbench_ccxt.orders import Terms
from workbench_ccxt.place import place_of
from workbench_ccxt.plugin import AMENDING, CAPABILITIES, CAUTIOUS, EXPIRIES_S, RATE_LIMITS
from workbench_ccxt.reading import Reader, filled_in
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
        self._legs = Legs()
        self._reader = Reader(ClientIds(exchange), self._account_id, self.venue, context.clock_ns)
        self._lookup = Lookup(
            exchange, lambda: self._exchange, self._reader, self._legs, context.clock_ns
        )
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
        for name, again, take in (
            ("watchMyTrades", exchange.watch_my_trades, self._take_trade),
            ("watchOrders", exchange.watch_orders, self._take_order),
            ("watchBalance", self._watch_balance, None),
        ):
            if exchange.has.get(name):
                watchers.append(session.watch(again, name, take))
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
        self._tell(self._reader.fill(raw))

    def _take_order(self, raw: Any) -> None:
        report = self._reader.status(raw)
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

    # Commands

    async def submit(self, order: OrderInitialized) -> OrderStatusReport | None:
        """Send an order once, under its own id."""
        report = await self._create(order.instrument_id, translated.terms_of(order))
        return self._legs.whole(report)

    async def _create(self, instrument_id: InstrumentId, terms: Terms) -> OrderStatusReport:
        exchange, symbol = self._exchange, symbol_at(instrument_id)
        wire = translated.wire(terms, self._reader.ids.outgoing(terms.client_order_id))
        self._reader.begin(terms)
        with told(self.place.exchange):
            _check_grid(exchange, symbol, terms)
            raw = await exchange.create_order(
                symbol, wire.kind, wire.side, wire.amount, wire.price, wire.params
            )
        about = {"symbol": symbol, "side": wire.side}
        report = self._reader.status({**about, **filled_in(raw)}, terms)
        for trade in raw.get("trades") or ():
            if trade.get("id") and trade.get("fee"):
                named = {**about, **filled_in(trade), "order": report.venue_order_id}
                self._tell(self._reader.fill(named))
        return report

    async def cancel(self, target: OrderTarget) -> OrderStatusReport | None:
        """Cancel an order."""
        report = await self._cancel(target)
        return None if report is None else self._legs.whole(report)

    async def _cancel(self, target: OrderTarget) -> OrderStatusReport | None:
        exchange, symbol = self._exchange, symbol_at(target.instrument_id)
        name = leg_of(target.client_order_id, self._legs.newest(target.client_order_id))
        order_id, params = handle_of(self._reader, name, target.venue_order_id)
        with told(self.place.exchange):
            raw = await exchange.cancel_order(order_id, symbol, params)
        if not raw or raw.get("status") is None or raw.get("amount") is None:
            return None
        # Binance answers with the id of the cancel itself.
        named = {
            "symbol": symbol,
            **filled_in(raw),
            "clientOrderId": self._reader.ids.outgoing(name),
        }
        return self._reader.status(named, self._reader.known.get(name))

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
        terms = translated.changed(change, self._reader.known.get(change.client_order_id))
        wire = translated.wire(terms, change.client_order_id)
        order_id, params = handle_of(self._reader, change.client_order_id, change.venue_order_id)
        if "triggerPrice" in wire.params:
            params["triggerPrice"] = wire.params["triggerPrice"]
        with told(self.place.exchange):
            _check_grid(exchange, symbol, terms)
            await exchange.edit_order(
                order_id, symbol, wire.kind, wire.side, wire.amount, wire.price, params
            )
        return None

    async def _replace(self, change: OrderChange) -> OrderStatusReport | None:
        name = change.client_order_id
        old_leg = self._legs.newest(name)
        new_name = leg_of(name, old_leg + 1)
        self._reader.ids.outgoing(new_name)  # refused before anything is cancelled
        old = await self._cancel(change)
        if old is None:
            old = await self._lookup.ended(change)
        before = await self._lookup.filled_before(name, old_leg, change.instrument_id)
        filled = before + old.filled_quantity
        left = change.quantity - filled
        if left <= 0:
            self._legs.replacing.discard(name)
            return self._legs.whole(old)
        self._legs.begin(name, old_leg, before)
        terms = translated.changed(change, self._reader.known.get(name))
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

    # Reports

    async def order_status_reports(self, query: OrderQuery) -> list[OrderStatusReport]:
        """Return the open orders, or the one that is asked for."""
        if query.client_order_id is not None or query.venue_order_id is not None:
            return await self._lookup.one(query)
        exchange = self._exchange
        symbols = [symbol_at(one) for one in query.instrument_ids] or [None]
        with told(self.place.exchange):
            pages = await asyncio.gather(*(exchange.fetch_open_orders(one) for one in symbols))
        reports = [self._reader.status(raw) for page in pages for raw in page]
        whole = [await self._lookup.whole(report) for report in reports]
        return [one for one in whole if one is not None]

    async def fill_reports(self, query: FillQuery) -> list[FillReport]:
        """Return the account's fills since a time, page by page."""
        since = None if query.since_ns is None else query.since_ns // _MS
        symbols = [symbol_at(one) for one in query.instrument_ids] or self._reader.symbols()
        pages = await asyncio.gather(*(self._lookup.fills(symbol, since) for symbol in symbols))
        return [fill for page in pages for fill in page]

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
        for _ in range(3):
            updates = self._balances.updates
            with told(self.place.exchange):
                self._balances.replace(await self._exchange.fetch_balance())
            if updates == self._balances.updates:
                break  # else what was streamed meanwhile may be newer
        return self._balances.state(self._clock_ns())

    async def permissions(self) -> Permissions:
        """Return what the exchange says, where it says it with the balances."""
        with told(self.place.exchange):
            raw: Any = (await self._exchange.fetch_balance()).get("info")
        said: dict[str, Any] = {**raw} if isinstance(raw, dict) else {}
        may = {name: said.get(name) for name in ("canTrade", "canWithdraw")}
        return Permissions(
            may_trade=may["canTrade"] if isinstance(may["canTrade"], bool) else None,
            may_withdraw=may["canWithdraw"] if isinstance(may["canWithdraw"], bool) else None,
        )

    # Signs of life

    async def server_time(self) -> int:
        """Return the exchange's time."""
        return await self._open.server_time()

    async def ping(self) -> None:
        """Wait for a sign of life on every socket."""
        await self._open.ping()


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
