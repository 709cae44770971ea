"""What a sandbox must have shown before a strategy trades."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import msgspec

from workbench.model.errors import ConfigError
from workbench.model.money import Money
from workbench.model.settings import SettingsMeta


class PromotionRules(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    repr_omit_defaults=True,
    metaclass=SettingsMeta,
):
    """How much evidence a promotion asks for, all of it of this run and with the code as it is.

    Attributes:
        min_duration_s: How long the strategy ran in the sandbox, seconds.
        min_orders: How many of its orders were sent.
        min_fills: How many fills they had.
        max_drawdown: The most that its profit may have fallen from a height, such as `"500 USDT"`;
            None for no matter how much.
        max_stall_s: The longest stall of the loop, seconds.
        max_clock_skew_s: How far the venue's clock may be from ours, seconds; None where a venue
            does not tell its time and that is accepted.

    >>> PromotionRules(min_duration_s=600, min_fills=3)
    PromotionRules(min_duration_s=600, min_fills=3)
    """

    min_duration_s: float = 3600.0
    min_orders: int = 1
    min_fills: int = 10
    max_drawdown: str | None = None
    max_stall_s: float = 1.0
    max_clock_skew_s: float | None = 1.0

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("min_duration_s", "max_stall_s", "max_clock_skew_s"):
            value: Any = getattr(self, name)
            if value is not None or name != "max_clock_skew_s":
                _check_seconds(name, value)
        for name in ("min_orders", "min_fills"):
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                raise ConfigError(f"{name} is a whole number, 0 or more; got {value!r}")
        if self.max_drawdown is not None:
            self.drawdown()

    def drawdown(self) -> Money | None:
        """Return the most a profit may have fallen."""
        if self.max_drawdown is None:
            return None
        most = Money.parse(self.max_drawdown)
        if most.amount <= Decimal(0):
            raise ConfigError(f"max_drawdown is an amount above 0; got {self.max_drawdown!r}")
        return most


def _check_seconds(name: str, value: Any) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:
        raise ConfigError(f"{name} is a number of seconds, 0 or more; got {value!r}")
