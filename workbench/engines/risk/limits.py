"""The limits that hold whatever a strategy does, set where the node or backtest is configured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Any, NoReturn, TypeVar, cast

import msgspec

from workbench.model.enums import parse_enum
from workbench.model.errors import ConfigError
from workbench.model.instruments import to_decimal
from workbench.model.money import Money
from workbench.model.settings import SettingsMeta

_T = TypeVar("_T")


class OnExcess(StrEnum):
    """What becomes of a command beyond the rate."""

    DROP = "drop"
    BUFFER = "buffer"


class OnLoss(StrEnum):
    """What follows from a loss at its limit."""

    REFUSE = "refuse"
    REDUCING = "reducing"
    HALTED = "halted"


class PositionScope(StrEnum):
    """Whose position is limited: that of all strategies together, or of each by itself."""

    ACCOUNT = "account"
    STRATEGY = "strategy"


class RiskLimits(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    repr_omit_defaults=True,
    metaclass=SettingsMeta,
):
    """What the risk engine enforces beyond the instrument's own limits, whatever strategies do.

    A limit that is None is not enforced. Those "by instrument" take one number, which then holds
    for every instrument alike, or numbers by instrument id. Plain numbers are made exact. Cancels
    always pass, and no limit but the rates and the size of an order keeps a reduce-only order from
    leaving.

    Attributes:
        orders: At most so many submits in any window of `orders_interval_ns`; a list counts its
            orders and is admitted whole or not at all.
        modifies: The same for modifications.
        orders_interval_ns: The window, nanoseconds.
        on_excess: `"drop"` refuses what is beyond these two rates (`RATE_LIMIT_EXCEEDED`);
            `"buffer"` keeps it, first-in first-out, and checks it again when there is room. A
            cancel of an order that waits denies it (`CANCELED_WHILE_WAITING`).
        orders_per_minute: At most so many submits in any 60 seconds, all instruments together or
            by instrument id, those for simulated accounts apart from those for real ones; what is
            beyond is always refused (`ORDERS_PER_MINUTE_EXCEEDED`).
        max_order_quantity: Of one order, by instrument, in its units (`ORDER_TOO_LARGE`).
        max_notional: Of one order, by instrument, in its settlement currency
            (`NOTIONAL_TOO_LARGE`).
        max_open_orders: How many orders may rest or be on their way, all together (those of
            simulated accounts apart from those of real ones) or by instrument id, then in each
            account; what cannot rest does not count (`TOO_MANY_OPEN_ORDERS`).
        max_position: Net quantity in an account, long or short, once an order and all that work on
            its side are filled, by instrument, in its units (`POSITION_TOO_LARGE`).
        position_scope: Whether that is of all strategies together (`"account"`) or of each
            (`"strategy"`).
        max_loss_per_day: An amount such as `"5_000 USD"` for everything together, or amounts by
            account id. It is compared with realised and unrealised profit since 00:00 UTC or, on
            the first day, since the first order, all in that currency. It is looked at with every
            order and fill, and counts for the rest of the day (`MAX_LOSS_PER_DAY`), also after a
            restart of a node with a journal, unless the limit is raised above what was lost; where
            a price or rate is missing to tell the loss, orders are refused too (`LOSS_UNKNOWN`).
            Everything together is all real accounts, and apart from them all simulated ones:
            neither makes up for what the others lose.
        on_loss: `"refuse"` denies what would grow or flip a position until the day ends;
            `"reducing"` and `"halted"` set the trading state, which then stays until somebody sets
            another one, also after a restart. Beside real accounts, what simulated ones lose never
            sets it: they are refused to grow.

    Raises:
        ConfigError: If a limit allows nothing or is no number, or a field does not exist.

    >>> RiskLimits(max_notional={"BTC/USDT.BINANCE": 5_000.5}).max_notional
    {'BTC/USDT.BINANCE': Decimal('5000.5')}
    """

    orders: int = 100
    modifies: int = 100
    orders_interval_ns: int = 1_000_000_000
    on_excess: OnExcess = OnExcess.DROP
    orders_per_minute: int | dict[str, int] | None = None
    max_order_quantity: Decimal | dict[str, Decimal] | None = None
    max_notional: Decimal | dict[str, Decimal] | None = None
    max_open_orders: int | dict[str, int] | None = None
    max_position: Decimal | dict[str, Decimal] | None = None
    position_scope: PositionScope = PositionScope.ACCOUNT
    max_loss_per_day: str | dict[str, str] | None = None
    on_loss: OnLoss = OnLoss.REFUSE

    def __post_init__(self) -> None:
        """Check every field and make it exact."""
        for name in ("orders", "modifies", "orders_interval_ns"):
            _whole(getattr(self, name), name)
        for name, kind in _WORDS.items():
            self._set(name, parse_enum(kind, getattr(self, name), name))
        for name, read in _BY_NAME.items():
            given = getattr(self, name)
            if given is not None:
                self._set(name, _read(given, name, read))

    def check_names(self, instruments: Iterable[str], accounts: Iterable[str]) -> None:
        """Check that every limit of one instrument or account is of one that is there.

        Raises:
            ConfigError: Naming the one that is not: its limit would never be enforced.
        """
        known = {"instrument": set(instruments), "account": set(accounts)}
        for name in _BY_NAME:
            given = getattr(self, name)
            what = "account" if name == "max_loss_per_day" else "instrument"
            keys = cast("dict[str, Any]", given) if isinstance(given, dict) else ()
            for key in keys:
                if key not in known[what]:
                    there = ", ".join(sorted(known[what])) or "none"
                    raise ConfigError(f"{name}: no {what} {key!r} is known; known: {there}")

    def _set(self, name: str, value: Any) -> None:
        msgspec.structs.force_setattr(self, name, value)


def of_instrument(limit: _T | dict[str, _T] | None, instrument_id: str) -> _T | None:
    """Return what a limit says of an instrument, None for nothing.

    >>> of_instrument({"A.X": 5}, "A.X"), of_instrument({"A.X": 5}, "B.X"), of_instrument(7, "B.X")
    (5, None, 7)
    """
    if isinstance(limit, dict):
        return cast("dict[str, _T]", limit).get(instrument_id)
    return limit


def _read(given: Any, name: str, read: Callable[[Any, str], Any]) -> Any:
    if not isinstance(given, dict):
        return read(given, name)
    by_key = cast("dict[Any, Any]", given)
    return _Fixed({key: read(value, f"{name}[{key!r}]") for key, value in by_key.items()})


class _Fixed(dict[str, Any]):
    """A dict that stays as it was made: what reads a limit must not change it by accident."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as the same."""
        return _Fixed, (dict(self),)


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise TypeError(
        "limits cannot be changed: they are set where the node or backtest is configured, with"
        " wb.RiskLimits(...)"
    )


for _changes in [
    "__setitem__",
    "__delitem__",
    "__ior__",
    "clear",
    "pop",
    "popitem",
    "setdefault",
    "update",
]:
    setattr(_Fixed, _changes, _refuse)


def _whole(value: Any, name: str) -> int:
    if type(value) is not int or value < 1:
        raise ConfigError(f"{name} must be a whole number, 1 or more; got {value!r}")
    return value


def _positive(value: Any, name: str) -> Decimal:
    exact = to_decimal(value, name)
    if exact <= 0:
        raise ConfigError(f"{name} must be positive; got {exact}")
    return exact


def _money(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{name} is an amount as text, such as '5_000 USD'; got {value!r}")
    if Money.parse(value).amount <= 0:
        raise ConfigError(f"{name} must be positive; got {value!r}")
    return value


_WORDS: dict[str, type[StrEnum]] = {
    "on_excess": OnExcess,
    "position_scope": PositionScope,
    "on_loss": OnLoss,
}

_BY_NAME: dict[str, Callable[[Any, str], Any]] = {
    "orders_per_minute": _whole,
    "max_order_quantity": _positive,
    "max_notional": _positive,
    "max_open_orders": _whole,
    "max_position": _positive,
    "max_loss_per_day": _money,
}
