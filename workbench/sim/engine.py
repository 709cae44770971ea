"""The backtest engine: the hot loop over merged history.

It drives the same core as a node does, through the same dispatcher; only the path of a data event
is resolved once per stream instead of once per event.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import localcontext
from typing import Any

from workbench.engines.risk import RiskLimits
from workbench.history import Stream, Timeline
from workbench.model.commands import DataKind, ShutdownSystem
from workbench.model.data import BarType
from workbench.model.errors import ClientError, ConfigError, StrategyError
from workbench.model.identifiers import venue_of
from workbench.model.instruments import Instrument
from workbench.model.money import MONEY_CONTEXT
from workbench.runtime.channels import Channels
from workbench.runtime.clock import SimulatedClock
from workbench.runtime.senders import Senders
from workbench.sim.client import SimulatedExecutionClient
from workbench.sim.exchange import SimulatedExchange, see_bars
from workbench.sim.history_client import HistoryDataClient
from workbench.sim.matching import MatchingEngine
from workbench.sim.simulated_time import SimulatedTime
from workbench.sim.venue import SimulatedVenue
from workbench.trading.actor import Actor
from workbench.trading.core import TradingCore

CHUNK = 8192
FIRST_REPORT = 16  # after how many events progress is reported first: a strategy may be slow
_FROZEN_BY_A_PROGRAM = 1000  # Python 3.12 freezes some 375 objects of its own when it starts
_MATCHED = (DataKind.QUOTES, DataKind.TRADES, DataKind.BARS)
_SELDOM = 50_000  # new objects between two looks of the garbage collector
_ALWAYS = (None,)  # what waits where every event has to be seen
Route = Callable[[Any], None]


class BacktestEngine:
    """Runs strategies over history.

    Args:
        timeline: The data.
        instruments: What is traded.
        venues: How each venue is simulated; names and balances are filled in.
        actors: The strategies (and actors), each fresh or as it was made.
        run_tag: Part of every client order id.
        limits: What risk enforces.

    Raises:
        ConfigError: If there is data of a venue that is not simulated.

    Attributes:
        core: The trading core, to be read afterwards.
        exchanges: The simulated venues.
        data_client: Whose `warnings` name subscriptions without data.
        error: What a strategy raised, if it did.
        ended: Why the run ended before the data did; empty if it did not.
        events_handled: How many data events were handled.
    """

    def __init__(
        self,
        timeline: Timeline,
        instruments: Sequence[Instrument],
        venues: Sequence[SimulatedVenue],
        actors: Sequence[Actor],
        *,
        run_tag: str,
        limits: RiskLimits | None = None,
    ) -> None:
        listed = {settings.name for settings in venues}
        for stream in timeline.streams:
            if stream.instrument_id and venue_of(stream.instrument_id) not in listed:
                raise ConfigError(
                    f"no simulated venue lists {stream.instrument_id}; pass a SimulatedVenue named"
                    f" {venue_of(stream.instrument_id)!r}"
                )
        self.timeline = timeline
        self.error: StrategyError | None = None
        self.ended = ""
        self.events_handled = 0
        self._clock = SimulatedClock(timeline.first_ts)
        channels = Channels.plain()
        senders = Senders(channels, "backtest")
        self.core = TradingCore(self._clock, channels, senders, run_tag=run_tag, limits=limits)
        self.core.on_shutdown(self._on_shutdown)
        self._signal = channels.signal
        self._time = SimulatedTime(self._clock, senders.time_event.send, self.core.dispatcher.drain)
        self.exchanges = [
            SimulatedExchange(settings, self._clock, senders.exec_event.send) for settings in venues
        ]
        dispatcher = self.core.dispatcher
        dispatcher.before_data.append(self._time.see)
        for exchange in self.exchanges:
            dispatcher.before_data.append(exchange.process)
            self.core.execution.add_client(
                SimulatedExecutionClient(exchange, self._clock, senders.exec_event.send)
            )
        self.data_client = HistoryDataClient(
            timeline, instruments, self._clock, senders.data_event.send
        )
        self.core.data.add_client(self.data_client)
        for actor in actors:
            self.core.add_actor(actor)

    def run(self, on_progress: Callable[[int], int] | None = None) -> None:
        """Run from the first event to the last, or until the run is ended.

        A strategy's exception ends the run; it is kept in `error`, with all that was computed.

        Args:
            on_progress: Told how many events were handled; returns after how many more to be
                told again.
        """
        with localcontext(MONEY_CONTEXT), _unexamined():
            self._connect()
            try:
                self.core.start_actors()
                self._loop(on_progress)
            except StrategyError as error:
                self._fail(error)
            for error in self.core.stop_actors():
                self._keep(error)
            self._run_on()
            self.core.lanes.data.count(self.events_handled)
            self.core.lanes.close()

    def end(self, reason: str) -> None:
        """End the run after the event that is being handled."""
        self.ended = self.ended or reason
        self._signal.pending = True

    def _on_shutdown(self, command: ShutdownSystem) -> None:
        self.end(command.reason)

    def _fail(self, error: StrategyError) -> None:
        self._keep(error)
        try:
            self.core.fault_actor(error.strategy_id)
        except StrategyError as another:
            self._keep(another)

    def _keep(self, error: StrategyError) -> None:
        """Keep the first exception as the run's; later ones become notes of it."""
        if self.error is None:
            self.error = error
        else:
            self.error.add_note(f"Afterwards {error}")
        self.ended = self.ended or str(error)

    def _run_on(self) -> None:
        """Let arrive what was still on its way when the strategies stopped."""
        core = self.core
        while True:
            try:
                self._time.run_on(lambda: core.is_awaiting)
                return
            except StrategyError as error:
                self._fail(error)

    def _connect(self) -> None:
        """Start up as a node does: data clients, execution clients, each handled in between."""
        for client in self.core.data.clients:
            _complete(client.connect())
        self.core.dispatcher.flush()
        for client in self.core.execution.clients:
            _complete(client.connect())
        self.core.dispatcher.drain()

    def _loop(self, on_progress: Callable[[int], int] | None) -> None:
        taps_data = len(self.core.dispatcher.taps) > 1
        paths = [self._path(stream) for stream in self.timeline.streams]
        due = 0 if on_progress is None else FIRST_REPORT
        for index, events in self.timeline.runs(CHUNK):
            left = events
            while left and not self.ended:
                now, left = left, []
                if on_progress is not None and len(now) > due - self.events_handled:
                    cut = max(1, due - self.events_handled)
                    now, left = now[:cut], now[cut:]
                if taps_data:
                    self._run_tapped(now)
                else:
                    self._run(now, paths[index])
                if on_progress is not None and self.events_handled >= due:
                    due = self.events_handled + on_progress(self.events_handled)
            if self.ended:
                break
        if on_progress is not None:
            on_progress(self.events_handled)

    def _run_tapped(self, events: list[Any]) -> None:
        """Handle events as a node does; a recorder sees each of them."""
        for event in events:
            self.events_handled += 1
            self.core.dispatcher.handle_data(event)
            self.core.dispatcher.drain()
            if self.ended:
                return

    def _run(self, events: list[Any], path: _Path) -> None:
        """Handle consecutive events of one stream: `Dispatcher.handle_data`, resolved."""
        clock, signal, dispatcher = self._clock, self._signal, self.core.dispatcher
        see, route, desk, waiting = path.resolved()
        first = number = dispatcher.number
        others = 0  # messages of other channels, handled in between
        try:
            for event in events:
                ts = event.ts_init
                if ts >= clock.next_due:
                    dispatcher.number = number
                    self._time.advance(ts)
                    others += dispatcher.number - number
                    number = dispatcher.number
                    # What ended the run here ends it after this event.
                    signal.pending = bool(self.ended)
                clock.now_ns = ts
                if waiting:
                    see(event)
                    if signal.pending:
                        dispatcher.number = number
                        dispatcher.drain()
                        others += dispatcher.number - number
                        number = dispatcher.number
                        signal.pending = bool(self.ended)
                else:
                    desk.source = event
                number += 1
                route(event)
                if signal.pending:
                    dispatcher.number = number
                    dispatcher.drain()
                    others += dispatcher.number - number
                    number = dispatcher.number
                    if self.ended:
                        break
        finally:
            # A strategy's exception leaves from here; what was handled is counted all the same.
            dispatcher.number = max(number, dispatcher.number)
            done = number - first - others
            dispatcher.data_handled += done
            self.events_handled += done

    def _path(self, stream: Stream) -> _Path:
        if stream.kind not in _MATCHED:
            return _Path(self._see_otherwise, self._route(stream))
        engine = next(
            engine
            for exchange in self.exchanges
            if (engine := exchange.engine(stream.instrument_id)) is not None
        )
        if stream.kind is DataKind.BARS:
            bar_type = stream.bar_types[0]
            see = see_bars(engine, bar_type.spec.price_type)
            keeps = engine if see == engine.on_bar else None
            return _Path(see, self._route(stream), keeps, bar_type)
        if stream.kind is DataKind.QUOTES:
            return _Path(engine.on_quote, self._route(stream), engine)
        return _Path(engine.on_trade, self._route(stream))

    def _route(self, stream: Stream) -> Route:
        data = self.core.data
        if len(stream.bar_types) == 2:
            return data.route_bid_ask(*stream.bar_types)
        if stream.kind is DataKind.CUSTOM:
            return data.process
        key = stream.bar_types[0] if stream.bar_types else stream.instrument_id
        return data.route(stream.kind, key)

    def _see_otherwise(self, event: Any) -> None:
        """Show every exchange what is rare: mark prices, statuses, custom data."""
        for exchange in self.exchanges:
            exchange.process(event)


@dataclass(frozen=True)
class _Path:
    """Who sees a stream's events first, and who handles them.

    `engine` where its `only_keeps` may hold, with the stream's `bar_type` for bars.
    """

    see: Route
    route: Route
    engine: MatchingEngine | None = None
    bar_type: BarType | None = None

    def resolved(self) -> tuple[Route, Route, Any, Any]:
        """Return both, and the desk that keeps an event nobody has to see while nothing waits."""
        engine = self.engine
        if engine is None or not engine.only_keeps(self.bar_type):
            return self.see, self.route, None, _ALWAYS
        return self.see, self.route, engine.desk, engine.waiting


@contextmanager
def _unexamined() -> Generator[None]:
    """Keep the garbage collector from walking what is kept, a user's data above all.

    With 500,000 bars in a list freezing them saves a tenth to a quarter of a run. What a run adds,
    orders and records, is kept too: looking for cycles in it seldom is enough.
    """
    before = gc.get_threshold()
    if before[0]:
        gc.set_threshold(max(before[0], _SELDOM), *before[1:])
    # Where somebody else froze objects, theirs would be thawed with ours.
    freezes = gc.get_freeze_count() < _FROZEN_BY_A_PROGRAM
    if freezes:
        gc.freeze()
    try:
        yield
    finally:
        if freezes:
            gc.unfreeze()
        gc.set_threshold(*before)


def _complete(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits: clients of stored data and simulated venues do not."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise ClientError("a client of a backtest must not wait for anything when it connects")
