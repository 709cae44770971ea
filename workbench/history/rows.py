"""Where a row came from: what every complaint about data begins with."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.model.display import format_ns

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
AnyArray = npt.NDArray[Any]


class Rows:
    """The rows of one source, numbered from 0 as the user sees them.

    Args:
        label: What the source is called, such as its path.
        numbers: The user's number of each row where rows were left out; None for 0, 1, 2, ...
        ts: The time of each row in nanoseconds, once it is known.

    >>> Rows("trades.csv").at(3)
    'trades.csv, row 3'
    """

    def __init__(
        self, label: str, numbers: Int64Array | None = None, ts: Int64Array | None = None
    ) -> None:
        self.label = label
        self.numbers = numbers
        self.ts = ts

    def at(self, row: int) -> str:
        """Return the source, the row's number and, where known, its time."""
        number = row if self.numbers is None else int(self.numbers[row])
        when = "" if self.ts is None else f" ({format_ns(int(self.ts[row]))})"
        return f"{self.label}, row {number}{when}"

    def timed(self, ts: Int64Array) -> Rows:
        """Return the same rows with their times."""
        return Rows(self.label, self.numbers, ts)


def first_true(mask: BoolArray) -> int | None:
    """Return the position of the first true value, None where there is none.

    >>> first_true(np.array([False, True, True]))
    1
    """
    position = int(mask.argmax()) if len(mask) else 0
    return position if len(mask) and mask[position] else None
