"""A core that dies and goes on with what its log holds, as a node does with its journal."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tests.execution_fakes import ACCOUNT, PAIR, Broker, Desk, Setup
from workbench.engines.risk import RiskLimits
from workbench.model import events as e
from workbench.model.data import Quote
from workbench.model.identifiers import AccountId, TradeId, VenueOrderId
from workbench.model.orders import Order
from workbench.model.risk_events import RiskEvent
from workbench.runtime.channels import Channels
from workbench.runtime.clock import SimulatedClock
from workbench.runtime.eventlog import Record
from workbench.runtime.senders import Senders
from workbench.trading import TradingCore

D = Decimal
HOUR = 3_600_000_000_000
DAY = 24 * HOUR
START = 1_700_000_000_000_000_000 // DAY * DAY + 10 * HOUR  # 10:00 of a day
REAL = AccountId("SIM-001")


class Paper(Broker):
    """A simulated venue."""

    is_simulated = True


class Life(Setup):
    """From a start to a death.

    Args:
        limits: What risk enforces.
        earlier: The records of the lives before, oldest first.
        now_ns: When it begins.
        bid: The market then.
        mixed: Whether there are a simulated and a real account.
    """

    def __init__(
        self,
        limits: RiskLimits,
        earlier: Sequence[Sequence[Record]] = (),
        now_ns: int = START,
        bid: float = 1.0,
        *,
        mixed: bool = False,
    ) -> None:
        self.clock = SimulatedClock(now_ns)
        channels = Channels.plain()
        self.number = len(earlier) + 1
        tag = f"T{self.number}"
        self.core = TradingCore(
            self.clock, channels, Senders(channels, "test"), run_tag=tag, limits=limits
        )
        self.cache, self.execution = self.core.cache, self.core.execution
        self.brokers = (Paper("PAPER"), Broker("REAL", account_id=REAL)) if mixed else (Broker(),)
        self.broker = self.brokers[0]
        for broker in self.brokers:
            self.execution.add_client(broker)
        self.cache.add_instrument(PAIR)
        self.trades = 0
        told: list[RiskEvent] = []
        for records in earlier:
            self.core.rebuild(records)
            told += (r.message for r in records if isinstance(r.message, RiskEvent))
        self.core.risk.take_over(told)
        self.bid = bid
        self.quote(bid)
        self.desk = Desk()
        self.core.add_actor(self.desk)
        self.core.start_actors()
        for broker in self.brokers:
            self.account(broker.account_id)

    def quote(self, bid: float) -> None:
        self.bid = bid
        quote = Quote(PAIR.id, bid, bid, 1e6, 1e6, 1, 1)
        self.cache.market(PAIR.id).quote = quote

    def wait(self, hours: int) -> None:
        to_ns = self.clock.timestamp_ns() + hours * HOUR
        while (event := self.clock.advance(to_ns)) is not None:
            self.core.senders.time_event.send(event)
            self.core.dispatcher.drain()

    def trade(self, side: str, quantity: int, account_id: str | None = None) -> str:
        """Send an order and let it be filled at the market; return the code of its denial."""
        order = self.submit(quantity, side, account_id=account_id)
        if order.reason:
            return order.reason.partition(":")[0]
        self._fill(order, AccountId(account_id or ACCOUNT))
        return ""

    def _fill(self, order: Order, account_id: AccountId) -> None:
        self.submitted(order, account_id)
        fields: dict[str, Any] = {"account_id": account_id}
        fields["venue_order_id"] = VenueOrderId(f"V-{order.client_order_id}")
        self.event(e.OrderAccepted, order, **fields)
        self.fill(
            order,
            order.quantity,
            TradeId(f"T{self.number}-{self.trades}"),
            price=D(str(self.bid)),
            commission="0",
            **fields,
        )

    def records(self) -> list[Record]:
        return list(self.core.log)

    def told(self, kind: type[Any]) -> list[Any]:
        """Return the events of a kind that risk told of."""
        return [r.message for r in self.core.log if isinstance(r.message, kind)]
