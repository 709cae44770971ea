"""Brokers whose answers a test gives, and a core with a strategy around them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from workbench.engines.capabilities import ALL_CAPABILITIES, Capabilities
from workbench.engines.clients import ExecutionClient, VenueState
from workbench.model import commands as c
from workbench.model import events as e
from workbench.model.data import Quote
from workbench.model.enums import AccountType, OrderManagement
from workbench.model.identifiers import AccountId, ClientId, TradeId, Venue, VenueOrderId
from workbench.model.instruments import CurrencyPair
from workbench.model.money import currency
from workbench.model.orders import Order
from workbench.runtime.channels import Channels
from workbench.runtime.clock import SimulatedClock
from workbench.runtime.senders import Senders
from workbench.trading import Strategy, TradingCore

D = Decimal
PAIR = CurrencyPair.define("AUD/USD.SIM")
OTHER = CurrencyPair.define("EUR/USD.SIM")
ACCOUNT = AccountId("SIM-PAPER")


class Broker(ExecutionClient):
    """Keeps what it is sent; a test answers."""

    def __init__(
        self,
        name: str = "SIM",
        venue: str = "SIM",
        account_id: str = ACCOUNT,
        *,
        management: OrderManagement | str = OrderManagement.NETTING,
        capabilities: Capabilities = ALL_CAPABILITIES,
    ) -> None:
        self.client_id, self.venue = ClientId(name), Venue(venue)
        self.account_id = AccountId(account_id)
        self.order_management = OrderManagement(management)
        self.capabilities = capabilities
        self.sent: list[Any] = []

    async def connect(self) -> None: ...

    async def disconnect(self) -> None: ...

    async def venue_state(self) -> VenueState:
        raise NotImplementedError

    def submit_order(self, command: c.SubmitOrder) -> None:
        self.sent.append(command)

    def modify_order(self, command: c.ModifyOrder) -> None:
        self.sent.append(command)

    def cancel_order(self, command: c.CancelOrder) -> None:
        self.sent.append(command)

    def cancel_all_orders(self, command: c.CancelAllOrders) -> None:
        self.sent.append(command)

    def query_order(self, command: c.QueryOrder) -> None:
        self.sent.append(command)

    def kinds(self) -> list[str]:
        """Return what it was sent."""
        return [type(command).__name__ for command in self.sent]


class Desk(Strategy):
    """Keeps what it hears."""

    def on_start(self) -> None:
        self.heard: list[e.OrderEvent | e.PositionEvent] = []

    def on_order_event(self, event: e.OrderEvent) -> None:
        self.heard.append(event)

    def on_position_event(self, event: e.PositionEvent) -> None:
        self.heard.append(event)

    def kinds(self) -> list[str]:
        """Return what it heard of."""
        return [type(event).__name__ for event in self.heard]


class Setup:
    """A core, a broker and a started strategy."""

    def __init__(
        self, *brokers: Broker, desk: Desk | None = None, claims: tuple[str, ...] = (), **core: Any
    ) -> None:
        self.clock = SimulatedClock(1)
        channels = Channels.plain()
        self.core = TradingCore(
            self.clock, channels, Senders(channels, "test"), run_tag="T", **core
        )
        self.cache, self.execution = self.core.cache, self.core.execution
        self.brokers = brokers or (Broker(),)
        self.broker = self.brokers[0]
        for broker in self.brokers:
            self.execution.add_client(broker)
        for instrument in (PAIR, OTHER):
            self.cache.add_instrument(instrument)
            quote = Quote(instrument.id, 1.0, 1.1, 1e6, 1e6, 1, 1)
            self.cache.market(instrument.id).quote = quote
        for broker in self.brokers:
            self.account(broker.account_id)
        self.desk = desk or Desk()
        self.desk.external_order_claims = claims
        self.core.add_actor(self.desk)
        self.core.start_actors()
        self.trades = 0

    def cash(self, amount: int, account_id: str = ACCOUNT) -> None:
        """Make an account one that trades what it has."""
        self.account(account_id, amount, AccountType.CASH)

    def account(
        self,
        account_id: str = ACCOUNT,
        amount: int = 1_000_000,
        kind: AccountType = AccountType.MARGIN,
    ) -> None:
        self.tell(
            e.AccountState(
                account_id=AccountId(account_id),
                account_type=kind,
                base_currency=None,
                balances=(e.Balance(currency("USD"), D(amount)),),
                ts_event=1,
                ts_init=1,
            )
        )

    def tell(self, event: Any) -> None:
        """Let the venue say something."""
        self.core.senders.exec_event.send(event)
        self.core.dispatcher.drain()

    def event(self, kind: type[e.OrderEvent], order: Order, ts: int = 2, **more: Any) -> None:
        self.tell(
            kind(
                strategy_id=order.strategy_id,
                instrument_id=order.instrument_id,
                client_order_id=order.client_order_id,
                ts_event=ts,
                ts_init=ts,
                **more,
            )
        )

    def submit(
        self, quantity: int = 10, side: str = "buy", reduce_only: bool = False, **more: Any
    ) -> Order:
        order = self.desk.orders.limit(PAIR.id, side, quantity, "1.0", reduce_only=reduce_only)
        self.desk.submit_order(order, **more)
        self.core.dispatcher.drain()
        return order

    def submit_command(self, order: Order) -> c.SubmitOrder:
        """Return what sends an order, past the risk engine."""
        return c.SubmitOrder(
            strategy_id=order.strategy_id,
            instrument_id=order.instrument_id,
            client_order_id=order.client_order_id,
            order=order.to_initialized(),
            ts_init=1,
        )

    def submitted(self, order: Order, account_id: AccountId = ACCOUNT) -> None:
        self.event(e.OrderSubmitted, order, account_id=account_id)

    def accepted(
        self, quantity: int = 10, side: str = "buy", account_id: str | None = None, **more: Any
    ) -> Order:
        order = self.submit(quantity, side, account_id=account_id, **more)
        self.accept(order, account_id or self.broker.account_id)
        return order

    def accept(self, order: Order, account_id: str = ACCOUNT) -> None:
        account = AccountId(account_id)
        self.submitted(order, account)
        venue_id = VenueOrderId(f"V-{order.client_order_id}")
        self.event(e.OrderAccepted, order, account_id=account, venue_order_id=venue_id)

    def fill(
        self,
        order: Order,
        quantity: int | Decimal,
        trade_id: str | None = None,
        unit: str = "USD",
        *,
        price: Decimal | int = 1,
        commission: Decimal | str = "0.5",
        ts: int = 2,
        **more: Any,
    ) -> None:
        self.trades += 1
        fields: dict[str, Any] = {
            "account_id": order.account_id or ACCOUNT,
            "venue_order_id": order.venue_order_id or VenueOrderId("V-1"),
            "trade_id": TradeId(trade_id or f"T{self.trades}"),
            "side": order.side,
            "order_type": order.order_type,
            "quantity": D(quantity),
            "price": D(price),
            "commission": D(commission),
            "commission_currency": currency(unit),
            "liquidity": "maker",
            **more,
        }
        self.event(e.OrderFilled, order, ts, **fields)

    def filled(self, quantity: int, side: str = "buy", **more: Any) -> Order:
        """Submit an order and fill it whole."""
        order = self.accepted(quantity, side, **more)
        self.fill(order, quantity)
        return order
