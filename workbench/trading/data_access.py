"""What an actor can ask for, publish and feed: subscriptions, requests, signals, indicators."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from workbench.model.commands import (
    BarMaking,
    DataKind,
    DataResponse,
    RequestData,
    Subscribe,
    Unsubscribe,
)
from workbench.model.custom_data import CustomData, Signal
from workbench.model.data import NO_INSTRUMENT, BarSpec, BarType
from workbench.model.enums import BarAggregation
from workbench.model.errors import ConfigError, InstrumentError
from workbench.model.identifiers import ClientId, ComponentId, InstrumentId
from workbench.model.instruments import Instrument
from workbench.trading.actor_clock import moment_ns
from workbench.trading.indicator_updates import update_of

if TYPE_CHECKING:
    from workbench.engines.feeds import FeedKey, Route
    from workbench.trading.core import TradingCore

_NO_TIME = timedelta(0)
_CALLBACKS = {DataKind.QUOTES: "on_quote", DataKind.TRADES: "on_trade"}


class DataAccess:
    """The part of an actor that deals with data; see `Actor`."""

    # What `Actor` has, as far as it is used here.
    if TYPE_CHECKING:
        component_id: ComponentId
        _indicators: dict[tuple[str, FeedKey], list[tuple[Any, Route]]]

        on_historical_data: Callable[[DataResponse], None]

        @property
        def core(self) -> TradingCore:
            """Return the core it belongs to."""
            ...

    @property
    def instrument(self) -> Instrument:
        """Return the instrument, where the node knows exactly one.

        Raises:
            InstrumentError: If there is none or more than one.
        """
        known = self.core.cache.instruments()
        if len(known) != 1:
            names = ", ".join(sorted(i.id for i in known)) or "none"
            raise InstrumentError(
                f"{len(known)} instruments are known ({names}); name the one you mean"
            )
        return known[0]

    # Subscriptions

    def subscribe_quotes(self, instrument_id: str | None = None) -> None:
        """Get `on_quote` for an instrument (default: the only one).

        Raises:
            InstrumentError: If it is not known.
        """
        self._subscribe(DataKind.QUOTES, self._known(instrument_id))

    def unsubscribe_quotes(self, instrument_id: str | None = None) -> None:
        """Get `on_quote` no longer."""
        self._unsubscribe(DataKind.QUOTES, self._known(instrument_id))

    def subscribe_trades(self, instrument_id: str | None = None) -> None:
        """Get `on_trade` for an instrument (default: the only one).

        Raises:
            InstrumentError: If it is not known.
        """
        self._subscribe(DataKind.TRADES, self._known(instrument_id))

    def unsubscribe_trades(self, instrument_id: str | None = None) -> None:
        """Get `on_trade` no longer."""
        self._unsubscribe(DataKind.TRADES, self._known(instrument_id))

    def subscribe_bars(
        self,
        bar_type: str | BarType,
        *,
        source: str | None = None,
        history: int | timedelta | None = None,
        build_with_no_updates: bool = True,
        skip_first_non_full_bar: bool = False,
        build_delay: timedelta = _NO_TIME,
    ) -> int | None:
        """Get `on_bar` for a bar type.

        Bars that the data has come as they are. Others are made inside: of trades (last) or quotes
        (bid, ask, mid), or, where the data has none of these, of the coarsest finer bars it has.
        The rule is the same in a backtest, a replay and live. Bars made inside come after the
        update that closed them.

        Args:
            bar_type: `"BTC/USDT.SIM-1-minute-last"`, or, where one instrument is known,
                `"1-minute-last"`. `"1-minute-last@trades"` says what to make it of, also where the
                data has such bars.
            source: The same said apart: `"quotes"`, `"trades"` or finer bars, `"1-minute-last"`.
                Bars made of a source that was named have it in their `bar_type`.
            history: What was before comes first, to `on_historical_data`, and registered
                indicators are updated with it: the newest so many bars, or those of a time. Bars
                made inside are made of the history of what they are made of, the one in progress
                too.
            build_with_no_updates: Of bars of time made of quotes or trades: whether there is one,
                flat, for an interval without updates.
            skip_first_non_full_bar: Of bars of time made inside: whether the first one is left out
                if it was begun in the middle of its interval.
            build_delay: Of bars of time made of quotes or trades: how long after its end to close
                an interval, for updates on their way.

        Returns:
            The request's id, where history is asked for; the answer carries it.

        Raises:
            InstrumentError: If its instrument is not known.
            ConfigError: If it cannot be read, or not be made of its source.
        """
        kind = self.bar_type(bar_type, source)
        _check_switches(
            build_with_no_updates=build_with_no_updates,
            skip_first_non_full_bar=skip_first_non_full_bar,
        )
        making = BarMaking(
            build_with_no_updates=build_with_no_updates,
            skip_first_non_full_bar=skip_first_non_full_bar,
            build_delay_ns=_nanoseconds(build_delay, "build_delay", least=0),
        )
        asked = _history(kind, history)
        request_id = self.core.next_request_id() if asked else None
        self._subscribe(
            DataKind.BARS,
            self._known(kind.instrument_id),
            bar_type=kind,
            making=None if making == BarMaking() else making,
            request_id=request_id,
            **asked,
        )
        return request_id

    def unsubscribe_bars(self, bar_type: str | BarType, *, source: str | None = None) -> None:
        """Get `on_bar` no longer."""
        kind = self.bar_type(bar_type, source)
        self._unsubscribe(DataKind.BARS, self._known(kind.instrument_id), bar_type=kind)

    def bar_type(self, value: str | BarType, source: str | None = None) -> BarType:
        """Return a bar type from its text, with or without the instrument."""
        if isinstance(value, str) and value[:1].isdigit() and "." not in value:
            text, _, named = value.partition("@")
            found = BarType(self.instrument.id, BarSpec.parse(text)).made_from(named)
        else:
            found = BarType.parse(value)
        return found if source is None else found.made_from(source)

    def subscribe_mark_prices(self, instrument_id: str | None = None) -> None:
        """Get `on_mark_price` for an instrument (default: the only one)."""
        self._subscribe(DataKind.MARK_PRICES, self._known(instrument_id))

    def unsubscribe_mark_prices(self, instrument_id: str | None = None) -> None:
        """Get `on_mark_price` no longer."""
        self._unsubscribe(DataKind.MARK_PRICES, self._known(instrument_id))

    def subscribe_funding_rates(self, instrument_id: str | None = None) -> None:
        """Get `on_funding_rate` for an instrument (default: the only one)."""
        self._subscribe(DataKind.FUNDING_RATES, self._known(instrument_id))

    def unsubscribe_funding_rates(self, instrument_id: str | None = None) -> None:
        """Get `on_funding_rate` no longer."""
        self._unsubscribe(DataKind.FUNDING_RATES, self._known(instrument_id))

    def subscribe_instrument_status(self, instrument_id: str | None = None) -> None:
        """Get `on_instrument_status` for an instrument (default: the only one)."""
        self._subscribe(DataKind.INSTRUMENT_STATUS, self._known(instrument_id))

    def unsubscribe_instrument_status(self, instrument_id: str | None = None) -> None:
        """Get `on_instrument_status` no longer."""
        self._unsubscribe(DataKind.INSTRUMENT_STATUS, self._known(instrument_id))

    def subscribe_data(
        self,
        kind: type[CustomData],
        instrument_id: str | None = None,
        *,
        client_id: str | None = None,
    ) -> None:
        """Get `on_data` for custom data: that of the data, of a client, or published by actors.

        Args:
            kind: The subclass of `CustomData`.
            instrument_id: Only that of an instrument; by default all.
            client_id: The data client, where not the first one that has such data.

        Raises:
            ConfigError: If it is no subclass.
        """
        client = None if client_id is None else ClientId(client_id)
        wanted = NO_INSTRUMENT if instrument_id is None else self._known(instrument_id)
        self._subscribe(DataKind.CUSTOM, wanted, topic=_topic(kind), client_id=client)

    def unsubscribe_data(self, kind: type[CustomData], instrument_id: str | None = None) -> None:
        """Get `on_data` for this data no longer."""
        wanted = NO_INSTRUMENT if instrument_id is None else self._known(instrument_id)
        self._unsubscribe(DataKind.CUSTOM, wanted, topic=_topic(kind))

    def subscribe_signals(self, name: str = "") -> None:
        """Get `on_signal` for the signals of a name, by default for all."""
        _check_signal_name(name)
        self._subscribe(DataKind.SIGNALS, NO_INSTRUMENT, topic=name)

    def unsubscribe_signals(self, name: str = "") -> None:
        """Get `on_signal` for these signals no longer."""
        self._unsubscribe(DataKind.SIGNALS, NO_INSTRUMENT, topic=name)

    def _subscribe(self, kind: DataKind, instrument_id: InstrumentId, **more: Any) -> None:
        self._send(Subscribe, "subscribe", kind, instrument_id, more)

    def _unsubscribe(self, kind: DataKind, instrument_id: InstrumentId, **more: Any) -> None:
        self._send(Unsubscribe, "unsubscribe", kind, instrument_id, more)

    def _send(
        self,
        command: type[Subscribe] | type[Unsubscribe],
        verb: str,
        kind: DataKind,
        instrument_id: InstrumentId,
        more: dict[str, Any],
    ) -> None:
        core = self.core
        core.check_thread("subscriptions", f"{verb}_{kind.value}, ...")
        core.senders.data_command.send(
            command(
                component_id=self.component_id,
                kind=kind,
                instrument_id=instrument_id,
                ts_init=core.clock.timestamp_ns(),
                **more,
            )
        )

    def _known(self, instrument_id: str | None) -> InstrumentId:
        if instrument_id is None:
            return self.instrument.id
        return self.core.cache.require_instrument(instrument_id).id

    # Publishing

    def publish_signal(self, name: str, value: float) -> None:
        """Publish a named number: `on_signal` of whoever subscribed to it, after this callback.

        Raises:
            ConfigError: If the name is empty, or the value is no number.
        """
        _check_signal_name(name)
        if not name:
            raise ConfigError("a signal needs a name, such as publish_signal('trend', 1.0)")
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ConfigError(
                f"the signal {name!r} must have a number for its value; got {value!r}"
            ) from None
        now = self.core.clock.timestamp_ns()
        self._publish(Signal(name, number, now, now, self.component_id))

    def publish_data(self, data: CustomData) -> None:
        """Publish custom data: `on_data` of whoever subscribed to it, after this callback.

        Raises:
            ConfigError: If it is none.
        """
        _topic(type(data))
        self._publish(data)

    def _publish(self, message: Signal | CustomData) -> None:
        core = self.core
        core.check_thread("publications", "publish_signal, name, value")
        core.senders.data_command.send(message)

    # Requests

    def request_quotes(
        self,
        instrument_id: str | None = None,
        *,
        start: int | datetime | None = None,
        end: int | datetime | None = None,
        limit: int | None = None,
    ) -> int:
        """Ask for past quotes; the answer comes to `on_historical_data`.

        Args:
            instrument_id: Whose; by default the only one.
            start: From when on: nanoseconds, or a datetime with a zone.
            end: Before when, likewise; never later than now.
            limit: The newest so many.

        Returns:
            The request's id, which the answer carries.

        Raises:
            InstrumentError: If the instrument is not known.
            ConfigError: If a time or the limit is none, or `end` is before `start`.
        """
        return self._request(DataKind.QUOTES, instrument_id, None, start, end, limit)

    def request_trades(
        self,
        instrument_id: str | None = None,
        *,
        start: int | datetime | None = None,
        end: int | datetime | None = None,
        limit: int | None = None,
    ) -> int:
        """Ask for past trades; arguments and answer as for `request_quotes`."""
        return self._request(DataKind.TRADES, instrument_id, None, start, end, limit)

    def request_bars(
        self,
        bar_type: str | BarType,
        *,
        start: int | datetime | None = None,
        end: int | datetime | None = None,
        limit: int | None = None,
    ) -> int:
        """Ask for past bars; arguments and answer as for `request_quotes`.

        Bars that the data does not have are made of the history of what `subscribe_bars` would make
        them of.
        """
        kind = self.bar_type(bar_type)
        if limit is not None:
            _check_countable(kind, "limit")
        return self._request(DataKind.BARS, kind.instrument_id, kind, start, end, limit)

    def _request(
        self,
        kind: DataKind,
        instrument_id: str | None,
        bar_type: BarType | None,
        start: int | datetime | None,
        end: int | datetime | None,
        limit: int | None,
    ) -> int:
        core = self.core
        core.check_thread("requests", f"request_{kind.value}, ...")
        since = None if start is None else moment_ns(start, "start")
        until = None if end is None else moment_ns(end, "end")
        if since is not None and until is not None and until < since:
            raise ConfigError(f"end must not be before start; got {start!r} to {end!r}")
        if limit is not None and (type(limit) is not int or limit < 1):
            raise ConfigError(f"limit must be a whole number, 1 or more; got {limit!r}")
        request_id = core.next_request_id()
        core.senders.data_command.send(
            RequestData(
                request_id=request_id,
                component_id=self.component_id,
                kind=kind,
                instrument_id=self._known(instrument_id),
                bar_type=bar_type,
                start=since,
                end=until,
                limit=limit,
                ts_init=core.clock.timestamp_ns(),
            )
        )
        return request_id

    # Indicators

    def register_indicator(
        self, data: str | BarType, *indicators: Any, instrument_id: str | None = None
    ) -> None:
        """Update indicators before each callback with the data, and with a subscription's history.

        An indicator is any object with `update(value)`, which gets a bar's close, a quote's mid or
        a trade's price; one with `update_bar(bar)` or `update_trade(trade)` gets the bars or trades
        themselves. They are updated as long as this actor is subscribed to the data.

        Args:
            data: A bar type, as for `subscribe_bars`; or `"quotes"` or `"trades"`.
            indicators: What to update, in this order.
            instrument_id: Of quotes or trades: whose; by default the only one.

        Raises:
            ConfigError: If there is no indicator, or one cannot be updated.
        """
        if not indicators:
            raise ConfigError("name the indicators too: register_indicator('1-minute-last', ema)")
        key: FeedKey
        if isinstance(data, str) and data in ("quotes", "trades"):
            kind = DataKind(data)
            key, callback = self._known(instrument_id), _CALLBACKS[kind]
        else:
            kind, key, callback = DataKind.BARS, self.bar_type(data), "on_bar"
        updates = [(one, update_of(one, kind)) for one in indicators]
        self._indicators.setdefault((callback, key), []).extend(updates)
        self.core.data.refresh(self.component_id)

    @property
    def indicators(self) -> list[Any]:
        """Return the registered indicators, in the order they were registered."""
        return [one for registered in self._indicators.values() for one, _ in registered]

    @property
    def indicators_ready(self) -> bool:
        """Return whether all registered indicators are (those without `is_ready` always are)."""
        return all(getattr(one, "is_ready", True) for one in self.indicators)

    def route_of(self, callback: str, key: FeedKey) -> Route:
        """Return what takes the messages of a feed; called by the data engine."""
        own: Route = getattr(self, callback)
        registered = self._indicators.get((callback, key))
        if not registered:
            return own

        def take(message: Any) -> None:
            for _, update in registered:
                update(message)
            own(message)

        return take

    def take_history(self, response: DataResponse) -> None:
        """Take what was before a subscription's first bar; called by the data engine."""
        if response.bar_type is not None:
            for _, update in self._indicators.get(("on_bar", response.bar_type), ()):
                for bar in response.data:
                    update(bar)
        self.on_historical_data(response)


def _topic(kind: type[CustomData]) -> str:
    if not (isinstance(kind, type) and issubclass(kind, CustomData)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(
            f"custom data is of a class of your own, `class Sentiment(wb.CustomData)`; got {kind!r}"
        )
    return kind.topic()


def _nanoseconds(value: Any, name: str, *, least: int) -> int:
    found = value // timedelta(microseconds=1) * 1000 if isinstance(value, timedelta) else -1
    if found < least:
        raise ConfigError(
            f"{name} is a timedelta of {least} or more, such as datetime.timedelta(seconds=2);"
            f" got {value!r}"
        )
    return found


def _history(bar_type: BarType, history: Any) -> dict[str, int]:
    if history is None:
        return {}
    if isinstance(history, int) and not isinstance(history, bool) and history > 0:
        _check_countable(bar_type, "history")
        return {"history_bars": history}
    return {"history_ns": _nanoseconds(history, "history (or a number of bars)", least=1)}


def _check_countable(bar_type: BarType, what: str) -> None:
    if bar_type.spec.aggregation in (BarAggregation.VOLUME, BarAggregation.VALUE):
        raise ConfigError(
            f"{what}: how far back so many {bar_type.spec} bars go is not known; ask for a time"
        )


def _check_switches(**switches: Any) -> None:
    for name, given in switches.items():
        if not isinstance(given, bool):
            raise ConfigError(f"{name} must be True or False; got {given!r}")


def _check_signal_name(name: Any) -> None:
    if not isinstance(name, str):
        raise ConfigError(f"a signal's name is text, such as 'trend'; got {name!r}")
