"""A strategy that does one step a quote, through the whole trading core, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.engines.risk import RiskLimits
from workbench.history import Timeline, load
from workbench.model import commands as c
from workbench.model import events as e
from workbench.model.data import Quote
from workbench.model.instruments import CurrencyPair, Equity, Future, Instrument
from workbench.runtime.eventlog import RecordKind
from workbench.sim import BacktestEngine, SimulatedVenue
from workbench.trading import Strategy

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND  # 2023-11-14 22:13:20 UTC

PAIR = CurrencyPair.define(
    "AUD/USD.SIM",
    price_increment="0.1",
    quantity_increment="10",
    min_quantity=20,
    max_quantity=10_000,
    min_notional=30,
    margin_init="0.1",
)
SHARE = Equity.define("ACME.SIM", taker_fee="0.01")
FUTURE = Future.define(
    "ESZ3.SIM",
    underlying="ES",
    activation_ns=START - 10 * SECOND,
    expiration_ns=START + 3600 * SECOND,
)
LISTED: tuple[Instrument, ...] = (PAIR, SHARE, FUTURE)

Step = Callable[["Trader"], None]


class Trader(Strategy):
    """Takes one step a quote of the pair."""

    steps: Any

    def on_start(self) -> None:
        self.todo = iter(self.steps)
        self.events: list[Any] = []
        self.subscribe_quotes(PAIR.id)

    def on_quote(self, quote: Quote) -> None:
        step = next(self.todo, None)
        if step is not None:
            step(self)

    def on_order_event(self, event: e.OrderEvent) -> None:
        self.events.append(event)

    def market(self, side: str, quantity: Any, instrument: Instrument = PAIR, **more: Any) -> None:
        self.submit_order(self.orders.market(instrument.id, side, quantity, **more))

    def limit(
        self, side: str, quantity: Any, price: Any, instrument: Instrument = PAIR, **more: Any
    ) -> None:
        self.submit_order(self.orders.limit(instrument.id, side, quantity, price, **more))


@dataclass
class Outcome:
    """What became of the orders of a run.

    Attributes:
        engine: The run.
        trader: The first strategy.
    """

    engine: BacktestEngine
    trader: Trader

    @property
    def denials(self) -> list[e.OrderDenied]:
        """Return every denial that strategies were told."""
        return [event for event in self.trader.events if isinstance(event, e.OrderDenied)]

    @property
    def codes(self) -> list[str]:
        """Return their codes."""
        return [denial.code for denial in self.denials]

    @property
    def commands(self) -> list[Any]:
        """Return what left towards the venue."""
        return [r.message for r in self.engine.core.log.records([RecordKind.COMMAND])]

    @property
    def sent(self) -> list[str]:
        """Return the client order ids of the orders that left."""
        ids: list[str] = []
        for command in self.commands:
            if isinstance(command, c.SubmitOrder):
                ids.append(command.client_order_id)
            elif isinstance(command, c.SubmitOrderList):
                ids.extend(order.client_order_id for order in command.orders)
        return ids

    def check_once(self) -> None:
        """Fail unless each order was sent or denied, once, and never both."""
        denied = [denial.client_order_id for denial in self.denials]
        assert sorted(denied + self.sent) == sorted(
            order.client_order_id for order in self.engine.core.cache.orders()
        )
        assert all(denial.reason for denial in self.denials)


def quotes(count: int, bid: float = 1.0, ask: float = 1.1, gap_ns: int = SECOND) -> list[Quote]:
    """Return quotes of the pair, and of everything else before them."""
    first = [Quote(one.id, bid, ask, 1e9, 1e9, START, START) for one in LISTED[1:]]
    times = [START + number * gap_ns for number in range(1, count + 1)]
    return [*first, *(Quote(PAIR.id, bid, ask, 1e9, 1e9, ts, ts) for ts in times)]


def trade(
    *steps: Step,
    data: Sequence[Any] | None = None,
    limits: RiskLimits | None = None,
    actors: Sequence[Trader] = (),
    check: bool = True,
    before: Callable[[BacktestEngine], None] | None = None,
    **venue: Any,
) -> Outcome:
    """Run a strategy of these steps."""
    trader = Trader(steps=list(steps))
    # A cash account can hold no future.
    listed = list(LISTED[:2] if venue.get("account_type") == "cash" else LISTED)
    known = {one.id for one in listed}
    events = [one for one in data or quotes(len(steps)) if one.instrument_id in known]
    engine = BacktestEngine(
        Timeline(load(events, list(listed))),
        list(listed),
        [SimulatedVenue(**venue).for_instruments(listed)],
        [trader, *actors],
        run_tag="T",
        limits=limits,
    )
    if before is not None:
        before(engine)
    engine.run()
    if engine.error is not None:
        raise engine.error
    outcome = Outcome(engine, trader)
    if check and not actors:
        outcome.check_once()
    return outcome
