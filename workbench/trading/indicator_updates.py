"""How an indicator is updated with bars, quotes or trades: whole, or with one price of each."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from workbench.model.commands import DataKind
from workbench.model.data import Bar, Quote, Trade
from workbench.model.errors import ConfigError

_WHOLE = {DataKind.BARS: "update_bar", DataKind.TRADES: "update_trade"}


def update_of(indicator: Any, kind: DataKind) -> Callable[[Any], None]:
    """Return what updates an indicator with one message of a kind.

    Raises:
        ConfigError: If it cannot be updated with that.
    """
    of_whole: Any = getattr(indicator, _WHOLE.get(kind, ""), None)
    if of_whole is not None:
        return of_whole
    update: Any = getattr(indicator, "update", None)
    if not callable(update):
        raise ConfigError(f"an indicator has a method update(value); {indicator!r} has none")
    if not _takes_one(update):
        others = [other.value for other, name in _WHOLE.items() if hasattr(indicator, name)]
        raise ConfigError(
            f"{indicator!r} takes more than one value at a time; register it with"
            f" {' or '.join(others) or 'data of your own callbacks'}"
        )
    return _OF[kind](update)


def _takes_one(update: Callable[..., Any]) -> bool:
    try:
        inspect.signature(update).bind(0.0)
    except TypeError:
        return False
    except ValueError:  # of a function that is compiled nothing is known
        return True
    return True


def _of_bars(update: Callable[[float], Any]) -> Callable[[Bar], None]:
    return lambda bar: update(bar.close)


def _of_quotes(update: Callable[[float], Any]) -> Callable[[Quote], None]:
    return lambda quote: update(quote.mid)


def _of_trades(update: Callable[[float], Any]) -> Callable[[Trade], None]:
    return lambda trade: update(trade.price)


_OF = {DataKind.BARS: _of_bars, DataKind.QUOTES: _of_quotes, DataKind.TRADES: _of_trades}
