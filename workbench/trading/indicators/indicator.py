"""What all indicators share: the state of one number or a few, taken on one value or bar at a time.

**Missing values.** A NaN or an infinity is not taken: the indicator stays as it was, as if the row
were not there. One bad tick must not make an average NaN for ever.
"""

# NumPy's stubs leave parts of the overloads of these functions unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np

from workbench.model.data import Bar
from workbench.model.errors import ConfigError
from workbench.trading.indicators.columns import Floats, read_columns


class Indicator(ABC):
    """A figure that each new bar or value moves on in constant time.

    Every indicator has an `update` that takes what it is computed from (one number, or high, low
    and close, ...) and returns `value`; `update_bar` takes those from a bar. Before it is ready
    `value` is what follows from the little it has seen, NaN where nothing does.

    Attributes:
        value: The figure; the middle or main line where there are several.
        inputs: The columns `warm_up` reads, in the order `update` takes them.
    """

    inputs: ClassVar[tuple[str, ...]] = ("close",)
    value: float

    @property
    @abstractmethod
    def is_ready(self) -> bool:
        """Return whether it has seen as much as its periods ask for."""

    @abstractmethod
    def update_bar(self, bar: Bar) -> float:
        """Take the next bar and return `value`."""

    @abstractmethod
    def reset(self) -> None:
        """Forget everything."""

    @abstractmethod
    def _take(self, *columns: Floats) -> None:
        """Take many rows of finite inputs; the state is as after one `update` for each."""

    @abstractmethod
    def _arguments(self) -> tuple[Any, ...]:
        """Return what it was made with, for its repr."""

    @property
    def made_with(self) -> tuple[Any, ...]:
        """Return what it was made with, in the order its class takes it."""
        return self._arguments()

    def warm_up(self, values: Any) -> Self:
        """Take many rows, oldest first, and return itself, as after one update for each.

        Args:
            values: Bars; or a frame, mapping or structured array with the columns `inputs`; or a
                float array of one column for each of them (one-dimensional where there is one).

        Raises:
            DataError: If a column is missing or the array has another shape.
        """
        columns = read_columns(values, self.inputs, type(self).__name__)
        if not all(np.isfinite(column).all() for column in columns):
            keep = np.logical_and.reduce([np.isfinite(column) for column in columns])
            columns = [column[keep] for column in columns]
        if len(columns[0]):
            self._take(*columns)
        return self

    def __repr__(self) -> str:
        """Return what it was made with, and the value."""
        shown = [*map(str, self._arguments()), f"value={self.value:g}"]
        return f"{type(self).__name__}({', '.join(shown)})"


class PriceIndicator(Indicator):
    """An indicator of one number: of bars it takes the close."""

    @abstractmethod
    def update(self, value: float) -> float:
        """Take the next value and return `value`."""

    def update_bar(self, bar: Bar) -> float:
        """Take the next bar's close and return `value`."""
        return self.update(bar.close)


def checked_period(period: int, name: str = "period") -> int:
    """Return a period.

    Raises:
        ConfigError: If it is no whole number of 1 or more.
    """
    if isinstance(period, bool) or not isinstance(period, int):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"a {name} must be a whole number, 1 or more; got {period!r}")
    if period < 1:
        raise ConfigError(f"a {name} must be 1 or more; got {period}")
    return period
