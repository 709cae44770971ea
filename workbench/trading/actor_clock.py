"""The clock of one actor: the node's, with timers of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from workbench.model.errors import ConfigError
from workbench.model.events import TimeEvent

if TYPE_CHECKING:
    from workbench.trading.actor import Actor
    from workbench.trading.core import TradingCore


class ActorClock:
    """The node's clock as one actor sees it: its timers have names of their own.

    Args:
        core: Whose clock it is, and whose thread timers belong to.
        actor: Whose timers these are.
    """

    def __init__(self, core: TradingCore, actor: Actor) -> None:
        self._core = core
        self._clock = core.clock
        self._actor = actor
        self._prefix = f"{actor.component_id}:"
        self._methods: dict[str, str] = {}

    def timestamp_ns(self) -> int:
        """Return the time in nanoseconds since the Unix epoch, UTC."""
        return self._clock.timestamp_ns()

    def utc_now(self) -> datetime:
        """Return the time as a datetime with zone UTC (microseconds)."""
        seconds, rest = divmod(self._clock.timestamp_ns(), 1_000_000_000)
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=rest // 1000)

    def set_alert(
        self, name: str, at: int | datetime, callback: Callable[[TimeEvent], None] | None = None
    ) -> None:
        """Call back once.

        Args:
            name: Unique among this actor's timers.
            at: When: nanoseconds, or a datetime with a zone.
            callback: Takes the event; by default `on_time_event`.

        Raises:
            ConfigError: If the name is in use, the datetime has no zone, or an argument is none.
            ThreadError: On another thread than the node's.
        """
        self._core.check_thread("timers", f"clock.set_alert, {name!r}, at")
        _check_timer(name, callback)
        due = moment_ns(at, f"alert {name!r}: `at`")
        self._clock.set_alert(self._prefix + name, due, self._guarded(callback))
        self._note(name, callback)

    def set_timer(
        self,
        name: str,
        interval: int | timedelta,
        callback: Callable[[TimeEvent], None] | None = None,
        *,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> None:
        """Call back at intervals.

        Args:
            name: Unique among this actor's timers.
            interval: Nanoseconds, or a timedelta.
            callback: Takes the event; by default `on_time_event`.
            start_ns: Where the intervals are counted from; by default now.
            stop_ns: No event falls due after it.

        Raises:
            ConfigError: If the name is in use, the interval is not positive, or an argument is
                none.
            ThreadError: On another thread than the node's.
        """
        self._core.check_thread("timers", f"clock.set_timer, {name!r}, interval")
        if isinstance(interval, bool) or not isinstance(interval, (int, timedelta)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(
                f"timer {name!r}: its interval is nanoseconds or a timedelta, such as"
                f" datetime.timedelta(seconds=2); got {interval!r}"
            )
        _check_timer(name, callback, start_ns=start_ns, stop_ns=stop_ns)
        if isinstance(interval, timedelta):
            interval = interval // timedelta(microseconds=1) * 1000
        self._clock.set_timer(
            self._prefix + name,
            interval,
            self._guarded(callback),
            start_ns=start_ns,
            stop_ns=stop_ns,
        )
        self._note(name, callback)

    def cancel_timer(self, name: str) -> bool:
        """Stop a timer or alert; return whether there was one.

        Raises:
            ThreadError: On another thread than the node's.
        """
        self._core.check_thread("timers", f"clock.cancel_timer, {name!r}")
        _check_timer(name, None)
        return self._clock.cancel_timer(self._prefix + name)

    @property
    def timer_names(self) -> list[str]:
        """Return the names of this actor's running timers, sorted."""
        names = self._clock.timer_names
        return [n.removeprefix(self._prefix) for n in names if n.startswith(self._prefix)]

    @property
    def methods(self) -> dict[str, str]:
        """Return the running timers that call a method of the actor, and that method's name."""
        return {name: self._methods[name] for name in self.timer_names if name in self._methods}

    def cancel_all(self) -> None:
        """Stop all of this actor's timers."""
        for name in self.timer_names:
            self.cancel_timer(name)

    def _note(self, timer: str, callback: Callable[[TimeEvent], None] | None) -> None:
        self._methods.pop(timer, None)
        if callback is None or getattr(callback, "__self__", None) is self._actor:
            self._methods[timer] = getattr(callback, "__name__", "on_time_event")

    def _guarded(self, callback: Callable[[TimeEvent], None] | None) -> Callable[[TimeEvent], None]:
        actor = self._actor
        chosen = actor.on_time_event if callback is None else callback
        # A class may have the method under another name than its function was defined with.
        name = (
            "on_time_event" if callback is None else getattr(callback, "__name__", repr(callback))
        )
        is_method = getattr(chosen, "__self__", None) is actor

        def fire(event: TimeEvent) -> None:
            if not actor.is_running:
                return  # it fell due before the actor stopped, and was handled after
            own = TimeEvent(event.name.removeprefix(self._prefix), event.ts_event, event.ts_init)
            # Looked up anew: the actor's code may be another than when the timer was set.
            actor.call(name, getattr(actor, name, chosen) if is_method else chosen, own)

        return fire


def moment_ns(value: Any, what: str) -> int:
    """Return a time in nanoseconds since the Unix epoch.

    Raises:
        ConfigError: If it is neither that nor a datetime with a zone.
    """
    if type(value) is int:
        return value
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ConfigError(
            f"{what} is nanoseconds or a datetime with a zone, such as datetime.UTC; got {value!r}"
        )
    return round(value.timestamp() * 1e6) * 1000


def _check_timer(name: Any, callback: Any, **times: Any) -> None:
    if not isinstance(name, str):
        raise ConfigError(f"a timer's name is text; got {name!r}")
    if callback is not None and not callable(callback):
        raise ConfigError(f"{name!r}: its callback takes a TimeEvent; got {callback!r}")
    for what, at in times.items():
        if at is not None and type(at) is not int:
            raise ConfigError(f"{name!r}: {what} is nanoseconds; got {at!r}")
