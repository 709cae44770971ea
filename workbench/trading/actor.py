"""An actor: takes market data, keeps state, sends no orders."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, dataclass_transform

from workbench.engines.cache import Cache
from workbench.engines.feeds import FeedKey, Route
from workbench.engines.portfolio import Portfolio
from workbench.model.commands import DataResponse, ShutdownSystem
from workbench.model.custom_data import CustomData, Signal
from workbench.model.data import (
    Bar,
    DataGap,
    FundingRate,
    InstrumentStatus,
    MarkPrice,
    Quote,
    Trade,
)
from workbench.model.errors import (
    CALLBACK_FAILURES,
    ConfigError,
    LifecycleError,
    StrategyError,
)
from workbench.model.events import TimeEvent
from workbench.model.identifiers import ComponentId
from workbench.model.instruments import Instrument
from workbench.runtime.lifecycle import (
    COMPONENT_TRANSITIONS,
    ComponentState,
    ComponentTrigger,
    Lifecycle,
)
from workbench.trading.actor_clock import ActorClock
from workbench.trading.data_access import DataAccess
from workbench.trading.parameters import Parameters, declared, resolve

if TYPE_CHECKING:
    from workbench.trading.core import TradingCore


@dataclass_transform(kw_only_default=True)
class Actor(DataAccess):
    """Something that takes market data: subclass it, declare parameters, write callbacks.

    Annotated class attributes are parameters, given as keyword arguments. State belongs into
    attributes set in `on_start` (or an `__init__` without arguments): each run begins with the
    object as it was made.

    >>> class SpreadWatch(Actor):
    ...     limit: float = 0.5
    ...     def on_start(self):
    ...         self.wide = 0
    ...         self.subscribe_quotes(self.instrument.id)
    ...     def on_quote(self, quote):
    ...         self.wide += quote.ask - quote.bid > self.limit
    >>> SpreadWatch(limit=0.25)
    SpreadWatch(limit=0.25)

    Two objects are two lives, so they are never equal; their parameters compare, are shown and
    serialise. A copy (`copy.deepcopy`, pickle) is a fresh object with the same parameters.

    >>> one, another = SpreadWatch(limit=0.25), SpreadWatch(limit=0.25)
    >>> one == another, one.parameters == another.parameters
    (False, True)
    >>> one.parameters == SpreadWatch().parameters
    False

    Attributes:
        component_id: Its name in the node, `CLASS-NNN`; set when it is added.
        cache: What the node knows: instruments, latest data, orders, positions, accounts.
        portfolio: What is held and what it is worth.
        clock: Time, alerts and timers.
        log: A standard logger of its own.
    """

    parameters: Parameters
    component_id: ComponentId
    clock: ActorClock
    log: logging.Logger
    lifecycle: Lifecycle[ComponentState, ComponentTrigger]
    _core: TradingCore | None
    _indicators: dict[tuple[str, FeedKey], list[tuple[Any, Route]]]

    def __new__(cls, *arguments: Any, **given: Any) -> Self:
        """Make the object and check its parameters."""
        if arguments:
            raise ConfigError(
                f"{cls.__name__} takes its parameters by name, such as"
                f" {cls.__name__}({next(iter(cls.declared_parameters()), 'name')}=...)"
            )
        made = super().__new__(cls)
        values = resolve(cls.__name__, cls.declared_parameters(), given)
        made.parameters = Parameters(values)
        made.component_id = ComponentId("")
        made._begin()
        return made

    def _begin(self) -> None:
        """Begin a life: parameters (containers as copies), no node, READY."""
        name = self.component_id or type(self).__name__
        # One by one: touching `__dict__` before a run makes every later access slower.
        for parameter, value in self.parameters.copies().items():
            setattr(self, parameter, value)
        self.lifecycle = Lifecycle(name, COMPONENT_TRANSITIONS, ComponentState.READY)
        self._core = None
        self._indicators = {}

    def __init__(self, **parameters: Any) -> None:
        """Make one; every parameter is a keyword (`__new__` checks and keeps them)."""

    def __init_subclass__(cls, **more: Any) -> None:
        """Let a subclass's `__init__` without arguments coexist with parameters."""
        super().__init_subclass__(**more)
        own = cls.__dict__.get("__init__")
        if own is not None and not _takes_keywords(own):
            cls.__init__ = _without_arguments(own)

    @classmethod
    def declared_parameters(cls) -> dict[str, Any]:
        """Return the declared parameters: name to (type, default)."""
        return declared(cls, ROOTS)

    def __reduce__(self) -> tuple[Callable[..., Actor], tuple[type[Actor], dict[str, Any]]]:
        """Copy and pickle as a fresh object with the same parameters, part of nothing."""
        return _made, (type(self), dict(self.parameters))

    def __repr__(self) -> str:
        """Return the class and its parameters."""
        return f"{type(self).__name__}({self.parameters!r})"

    def _repr_html_(self) -> str:
        name = self.component_id or type(self).__name__
        return f"<b>{name}</b> ({self.state.value.lower()}){self.parameters.to_html()}"

    # Its place in a node

    @property
    def state(self) -> ComponentState:
        """Return where it is in its lifecycle."""
        return self.lifecycle.state

    @property
    def is_running(self) -> bool:
        """Return whether it was started and has not stopped."""
        return self.lifecycle.state is ComponentState.RUNNING

    @property
    def core(self) -> TradingCore:
        """Return the core it belongs to.

        Raises:
            LifecycleError: If it has not been added to anything.
        """
        core = self._core
        if core is None:
            raise not_added(self)
        return core

    @property
    def cache(self) -> Cache:
        """Return what the node knows."""
        return self.core.cache

    @property
    def portfolio(self) -> Portfolio:
        """Return what is held and what it is worth."""
        return self.core.portfolio

    def attach(self, core: TradingCore, component_id: ComponentId) -> None:
        """Make it part of a core, as it was when it was made; called by the core.

        Raises:
            LifecycleError: If it is part of another one that still runs.
            ConfigError: If a parameter was changed after it was made, or a callback is misspelt.
        """
        check_spelling(type(self))
        for name, value in self.parameters.items():
            now = getattr(self, name, None)
            if now is not value and (type(now) is not type(value) or now != value):
                raise ConfigError(
                    f"{name!r} is a parameter of {type(self).__name__} and was changed to {now!r};"
                    f" make a new object with {name}=... instead"
                )
        if self._core is not None:
            if self._core.is_in_use or self.state in _BUSY:
                raise LifecycleError(
                    f"{self.component_id} is {self.state} elsewhere, in a node or backtest that"
                    " runs; stop that first (wb.nodes() lists the nodes), or make another object:"
                    f" {self!r}"
                )
            self.reset()
        self._core = core
        self.component_id = component_id
        self.clock = ActorClock(core, self)
        self.log = logging.getLogger(f"workbench.strategy.{component_id}")
        self.lifecycle.what = str(component_id)

    def reset(self) -> None:
        """Make it as it was when it was made: parameters stay, state goes.

        Raises:
            LifecycleError: If it is running.
        """
        # A disposed one has left its node for good; what follows is another life.
        if self.state is not ComponentState.DISPOSED:
            self.lifecycle.check(ComponentTrigger.RESET)
        self.call("on_reset", self.on_reset)
        parameters, component_id = self.parameters, self.component_id
        self.__dict__.clear()
        self.parameters = parameters
        self.component_id = component_id
        self._begin()
        self.__init__(**parameters)

    def start(self) -> None:
        """Run `on_start`; called by the core."""
        self.lifecycle.apply(ComponentTrigger.START)
        self.call("on_start", self.on_start)
        self.lifecycle.apply(ComponentTrigger.STARTED)

    def stop(self) -> None:
        """Run `on_stop`, then end its subscriptions and timers; called by the core."""
        self.lifecycle.apply(ComponentTrigger.STOP)
        try:
            self.call("on_stop", self.on_stop)
        finally:
            self._quiet()
        self.lifecycle.apply(ComponentTrigger.STOPPED)

    def fault(self) -> None:
        """Take no further part after an exception; called by the core.

        Raises:
            StrategyError: If `on_fault` raised; it takes no further part all the same.
        """
        if (self.state, ComponentTrigger.FAULT) in COMPONENT_TRANSITIONS:
            self.lifecycle.apply(ComponentTrigger.FAULT)
        self._quiet()
        self.call("on_fault", self.on_fault)

    def dispose(self) -> None:
        """Run `on_dispose`; called by the core."""
        if (self.state, ComponentTrigger.DISPOSE) in COMPONENT_TRANSITIONS:
            self.call("on_dispose", self.on_dispose)
            self.lifecycle.apply(ComponentTrigger.DISPOSE)

    def _quiet(self) -> None:
        self.core.data.drop_subscriber(self.component_id, self.clock.timestamp_ns())
        self.clock.cancel_all()

    def refresh_callbacks(self) -> None:
        """Take note that the class is another now; called when its code is exchanged."""
        if self._core is not None:
            self._core.data.refresh(self.component_id)

    def call(self, name: str, callback: Callable[..., None], *event: Any) -> None:
        """Run a callback; its exception comes out with both names and the event.

        Raises:
            StrategyError: Whose cause is what the callback raised.
        """
        try:
            callback(*event)
        except CALLBACK_FAILURES as error:
            raise StrategyError(
                self.component_id, name, event[0] if event else None, error
            ) from error

    # What it can ask for, beside data

    def shutdown_system(self, reason: str) -> None:
        """Ask the node (or backtest) to end gracefully."""
        core = self.core
        core.shutdown(
            ShutdownSystem(
                component_id=self.component_id, reason=reason, ts_init=core.clock.timestamp_ns()
            )
        )

    # Callbacks, to be overridden

    def on_start(self) -> None:
        """Set up state and subscribe."""

    def on_stop(self) -> None:
        """Leave the market as you want it left."""

    def on_reset(self) -> None:
        """Let go of what the object holds outside itself; its attributes go anyway."""

    def on_dispose(self) -> None:
        """Let go of everything."""

    def on_fault(self) -> None:
        """React to an exception of your own; the strategy takes no further part."""

    def on_instrument(self, instrument: Instrument) -> None:
        """Take an instrument's new definition."""

    def on_quote(self, quote: Quote) -> None:
        """Take a quote."""

    def on_trade(self, trade: Trade) -> None:
        """Take a trade."""

    def on_bar(self, bar: Bar) -> None:
        """Take a bar."""

    def on_mark_price(self, mark_price: MarkPrice) -> None:
        """Take a mark price."""

    def on_funding_rate(self, funding_rate: FundingRate) -> None:
        """Take a funding rate."""

    def on_instrument_status(self, status: InstrumentStatus) -> None:
        """Take the news that a market opened, closed, was halted, ..."""

    def on_data(self, data: CustomData) -> None:
        """Take custom data."""

    def on_signal(self, signal: Signal) -> None:
        """Take a signal."""

    def on_historical_data(self, response: DataResponse) -> None:
        """Take the answer to a request, or what was before a subscription's first bar."""

    def on_data_gap(self, gap: DataGap) -> None:
        """Take the news that messages of an instrument were dropped.

        Bars made inside that count updates, volume or value begin anew; a time bar is built from
        what came.
        """

    def on_time_event(self, event: TimeEvent) -> None:
        """Take a timer or alert."""


def _made(cls: type[Actor], parameters: dict[str, Any]) -> Actor:
    return cls(**parameters)


_LIFE = frozenset({"start", "stop", "reset", "dispose", "fault"})


def check_spelling(cls: type[Actor]) -> None:
    """Refuse a method that looks like a callback nobody would call, or hides one of ours.

    Raises:
        ConfigError: Naming the callback that was probably meant.
    """
    root = next(base for base in cls.__mro__ if base in ROOTS)  # Strategy or Actor
    known = [name for name in dir(root) if name.startswith("on_")]
    own = {n for base in cls.__mro__[: cls.__mro__.index(root)] for n in vars(base)}
    for name in sorted(own & _LIFE):
        raise ConfigError(
            f"{cls.__name__}.{name} would take the place of what workbench calls to {name} it;"
            f" write on_{name}, which is called then, or give your method another name"
        )
    for name in sorted(own):
        if not name.startswith("on_") or name in known:
            continue
        meant = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        if meant and meant[0] not in own:
            raise ConfigError(
                f"{cls.__name__}.{name} is no callback and would never be called; did you mean"
                f" {meant[0]}? A method of your own needs another name"
            )


def not_added(actor: Actor) -> LifecycleError:
    """Return the error of one that is asked for what it only has in a node or backtest."""
    return LifecycleError(
        f"{type(actor).__name__} is not in a node or backtest yet; pass it to wb.backtest(...) or"
        " node.add_strategy(...), and use this inside its callbacks"
    )


_BUSY = (ComponentState.STARTING, ComponentState.RUNNING, ComponentState.STOPPING)

ROOTS: set[type] = {Actor, DataAccess}
"""The classes whose own annotations are no parameters."""


def _takes_keywords(init: Callable[..., None]) -> bool:
    code = init.__code__
    return bool(code.co_flags & 0x08)


def _without_arguments(init: Callable[..., None]) -> Callable[..., None]:
    code = init.__code__
    if code.co_argcount + code.co_kwonlyargcount > 1:
        raise ConfigError(
            f"{init.__qualname__} takes arguments; declare parameters as annotated class attributes"
            " instead (`fast: int = 10`), so that they can be shown, compared and stored"
        )

    def initialise(self: Actor, **_: Any) -> None:
        init(self)

    initialise.__doc__ = init.__doc__
    return initialise
