"""`wb.backtest(...)`: strategies over history, with a progress bar, interruptible."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from decimal import localcontext
from typing import Any

from workbench.engines.risk import RiskLimits
from workbench.history import Moment, Timeline, load
from workbench.model.errors import ConfigError
from workbench.model.identifiers import parse_name, run_tag
from workbench.model.instruments import Instrument
from workbench.model.money import MONEY_CONTEXT
from workbench.node import as_strategies, as_venues
from workbench.node.clients import as_instruments
from workbench.research.result import BacktestResult
from workbench.runtime.lifecycle import COMPONENT_TRANSITIONS, ComponentTrigger
from workbench.sim import BacktestEngine, SimulatedVenue
from workbench.trading.actor import Actor

PROGRESS_AFTER_S = 1.0
REFRESH_S = 0.1
INTERRUPTED = "interrupted"
"""What a result's `ended` says after an interrupt."""


def backtest(
    strategy: Actor | Sequence[Actor],
    data: Any,
    *,
    instrument: Instrument | Sequence[Instrument],
    venue: SimulatedVenue | Sequence[SimulatedVenue] | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    limits: RiskLimits | None = None,
    trader_id: str = "TRADER-001",
    progress: bool | None = None,
    raise_exception: bool = True,
) -> BacktestResult:
    """Run one or several strategies over history and return what happened.

    Interrupting (Ctrl-C, or the notebook's stop button) ends the run after the present event and
    returns what was computed.

    Args:
        strategy: A strategy object, or several; each begins as it was made.
        data: A pandas frame, Arrow table, NumPy record array, Parquet or CSV path, list of
            messages or `wb.bars(...)`, `wb.quotes(...)`, `wb.trades(...)`; a list of those; or a
            mapping from instrument to those.
        instrument: The instrument, or several.
        venue: How fills are simulated; by default a margin account of 1,000,000.
        start: Run from then on; earlier data answers requests for history. Nanoseconds, ISO text
            (UTC where it names no zone) or a datetime with a zone.
        end: Run until before then.
        limits: What risk enforces.
        trader_id: Part of the order ids.
        progress: Show a progress bar: True, False, or None for runs of over a second.
        raise_exception: Raise a strategy's exception; its `result` holds what was computed. With
            False the result is returned, with the exception in `error`.

    Raises:
        DataError: If the data cannot be used.
        ConfigError: If an argument cannot.
        StrategyError: If a strategy raised; says which one, and on which event.

    >>> from workbench.model.data import Quote
    >>> from workbench.model.instruments import CurrencyPair
    >>> pair = CurrencyPair.define("AUD/USD.SIM")
    >>> quotes = [Quote(pair.id, 0.75, 0.75001, 1e6, 1e6, t, t) for t in (10**18, 10**18 + 1)]
    >>> backtest(Actor(), quotes, instrument=pair).events
    2
    """
    instruments = as_instruments(instrument)
    strategies = as_strategies(strategy)
    parse_name(trader_id, "trader_id")
    if limits is not None and not isinstance(limits, RiskLimits):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"limits is a wb.RiskLimits(...); got {limits!r}")
    timeline = Timeline(load(data, instruments), start, end)
    # Whatever the caller's decimal context is: starting balances, too, are exact to 28 digits.
    with localcontext(MONEY_CONTEXT):
        engine = BacktestEngine(
            timeline,
            instruments,
            as_venues(venue, instruments),
            strategies,
            run_tag=run_tag(timeline.first_ts, trader_id),
            limits=limits,
        )
    began = time.perf_counter()
    with (
        _left_usable(engine),
        _interruptible(engine),
        _progress_bar(timeline.total, progress) as on_progress,
    ):
        engine.run(on_progress)
    result = BacktestResult(engine, time.perf_counter() - began)
    if result.error is not None and raise_exception:
        error: Any = result.error
        error.result = result
        error.add_note("What was computed until then is in this exception's `result`.")
        raise error
    return result


@contextmanager
def _interruptible(engine: BacktestEngine) -> Generator[None]:
    """Let the first interrupt end the run between two events, a second one break it off."""
    before = signal.getsignal(signal.SIGINT)
    # Only the main thread may set handlers; None is one that Python cannot put back, and a process
    # that ignores interrupts, such as one in a shell's background, goes on ignoring them.
    if threading.current_thread() is not threading.main_thread() or before in (
        None,
        signal.SIG_IGN,
    ):
        yield
        return

    def interrupt(*_: Any) -> None:
        engine.end(INTERRUPTED)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _left_usable(engine: BacktestEngine) -> Generator[None]:
    """Let strategies be used again when a second interrupt, or a defect, breaks the run off."""
    try:
        yield
    except BaseException:
        for actor in engine.core.actors:
            if (actor.state, ComponentTrigger.FAULT) in COMPONENT_TRANSITIONS:
                actor.lifecycle.apply(ComponentTrigger.FAULT)
        raise


@contextmanager
def _progress_bar(total: int, wanted: bool | None) -> Generator[Callable[[int], int] | None]:
    if wanted is False:
        yield None
        return
    progress = _Progress(total, 0.0 if wanted else PROGRESS_AFTER_S)
    try:
        yield progress.show
    finally:
        progress.close()


class _Progress:
    """A progress bar that appears once the run has taken a while; a short one pays nothing.

    It is shown again after so many events as take about a tenth of a second.
    """

    def __init__(self, total: int, after_s: float) -> None:
        self._total = total
        self._shown = time.perf_counter()
        self._due = self._shown + after_s
        self._handled = 0
        self._bar: Any = None
        if not after_s:
            self._open(0)

    def show(self, handled: int) -> int:
        """Show how many events were handled; return after how many more to do it again."""
        now = time.perf_counter()
        if self._bar is not None:
            self._bar.update(handled - self._bar.n)
        elif handled < self._total and now >= self._due:
            self._open(handled)
        step = round((handled - self._handled) * REFRESH_S / max(now - self._shown, 1e-6))
        self._shown, self._handled = now, handled
        return max(1, step)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()

    def _open(self, handled: int) -> None:
        from tqdm import auto

        # Without a monitor: its thread would outlive the bar.
        unwatched: Any = type("Bar", (auto.tqdm,), {"monitor_interval": 0})
        self._bar = unwatched(
            total=self._total,
            initial=handled,
            desc="backtest",
            unit=" events",
            unit_scale=True,
        )
