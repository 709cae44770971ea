"""The synthetic data client: a seeded random market on the live clock."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from workbench.engines.clients import DataClient
from workbench.model.commands import DataKind, DataResponse, RequestData, Subscribe, Unsubscribe
from workbench.model.data import BarType, Quote, Trade
from workbench.model.enums import AggressorSide
from workbench.model.errors import ClientError, ConfigError
from workbench.model.identifiers import ClientId, InstrumentId, TradeId
from workbench.model.instruments import Instrument
from workbench.node.clients import BuildContext, as_instruments
from workbench.runtime.clock import Clock
from workbench.runtime.senders import get_data_event_sender


class Synthetic:
    """A factory of a data client that makes up quotes and trades.

    Mid prices follow a seeded random walk in half ticks; the spread is `spread_ticks`. The same
    seed gives the same prices; the times are those of the clock.

    Args:
        instrument: The instrument, or a list of them.
        start_price: Where the walk begins, in the quote currency.
        rate: Quotes a second, for each instrument.
        seed: Of the random walk.
        spread_ticks: Between bid and ask.
        step_ticks: Standard deviation of one step.
        size: At the bid and at the ask.

    Raises:
        ConfigError: If a number is not usable.
    """

    def __init__(
        self,
        instrument: Instrument | Sequence[Instrument],
        *,
        start_price: float = 100.0,
        rate: float = 10.0,
        seed: int = 1,
        spread_ticks: int = 2,
        step_ticks: float = 1.0,
        size: float = 1000.0,
    ) -> None:
        self.instruments = as_instruments(instrument)
        if not 0 < rate <= 10_000:
            raise ConfigError(f"rate is quotes a second, above 0 and at most 10,000; got {rate}")
        if spread_ticks < 1 or step_ticks <= 0 or start_price <= 0 or size <= 0:
            raise ConfigError("start_price, spread_ticks, step_ticks and size must be positive")
        self.start_price = start_price
        self.interval_s = 1 / rate
        self.seed = seed
        self.spread_ticks = spread_ticks
        self.step_ticks = step_ticks
        self.size = size

    def __call__(self, context: BuildContext) -> DataClient:
        """Return the client."""
        return SyntheticDataClient(self, context.clock)

    def __repr__(self) -> str:
        """Return what is made up."""
        names = ", ".join(instrument.id for instrument in self.instruments)
        return f"Synthetic({names}, seed={self.seed})"


class SyntheticDataClient(DataClient):
    """Sends made-up quotes and trades while it runs.

    Args:
        market: What to make up.
        clock: For the time of messages.
    """

    def __init__(self, market: Synthetic, clock: Clock) -> None:
        self.client_id = ClientId("SYNTHETIC")
        self._market = market
        self._clock = clock
        self._send = get_data_event_sender().send
        self._random = random.Random(market.seed)
        self._trade_count = 0
        self._ticks: dict[InstrumentId, float] = {
            i.id: market.start_price / i.tick_size for i in market.instruments
        }

    async def connect(self) -> None:
        """Send the instruments and a first quote of each."""
        for instrument in self._market.instruments:
            self._send(instrument)
            self._send(self._quote(instrument))

    async def disconnect(self) -> None:
        """Do nothing: there is no connection to end."""

    def serves(
        self,
        kind: DataKind,
        instrument_id: InstrumentId,
        bar_type: BarType | None = None,
        topic: str = "",
    ) -> bool:
        """Return whether it is made up: quotes and trades are."""
        is_made_up = kind in (DataKind.QUOTES, DataKind.TRADES)
        return is_made_up and instrument_id in self._ticks and bar_type is None and not topic

    def subscribe(self, command: Subscribe) -> None:
        """Check that there is such data.

        Raises:
            ClientError: For what is not made up.
        """
        if not self.serves(command.kind, command.instrument_id):
            raise ClientError(
                f"{command.component_id} subscribed to {command.kind.value} of"
                f" {command.bar_type or command.instrument_id}, but the synthetic market sends"
                " quotes and trades only; replay stored data instead"
            )

    def unsubscribe(self, command: Unsubscribe) -> None:
        """Do nothing: the data comes all the same."""

    def request(self, command: RequestData) -> DataResponse:
        """Return that there is no history."""
        now = self._clock.timestamp_ns()
        return DataResponse(
            request_id=command.request_id,
            component_id=command.component_id,
            kind=command.kind,
            instrument_id=command.instrument_id,
            bar_type=command.bar_type,
            data=(),
            error="a synthetic market has no history",
            ts_event=now,
            ts_init=now,
        )

    async def run(self) -> None:
        """Send a quote of each instrument every interval, now and then with a trade."""
        while True:
            for instrument in self._market.instruments:
                quote = self._quote(instrument)
                self._send(quote)
                if self._random.random() < 0.25:
                    self._send(self._trade(instrument, quote))
            await asyncio.sleep(self._market.interval_s)

    def _quote(self, instrument: Instrument) -> Quote:
        market = self._market
        step = self._random.gauss(0, market.step_ticks)
        least = float(market.spread_ticks)
        ticks = max(least, self._ticks[instrument.id] + step)
        self._ticks[instrument.id] = ticks
        bid = round(ticks - market.spread_ticks / 2)
        now = self._clock.timestamp_ns()
        return Quote(
            instrument.id,
            float(instrument.price_increment * bid),
            float(instrument.price_increment * (bid + market.spread_ticks)),
            market.size,
            market.size,
            now,
            now,
        )

    def _trade(self, instrument: Instrument, quote: Quote) -> Trade:
        self._trade_count += 1
        buys = self._random.random() < 0.5
        return Trade(
            instrument.id,
            quote.ask if buys else quote.bid,
            max(float(instrument.quantity_increment), round(self._random.random() * 10)),
            AggressorSide.BUYER if buys else AggressorSide.SELLER,
            TradeId(f"S-{self._trade_count}"),
            quote.ts_event,
            quote.ts_init,
        )
