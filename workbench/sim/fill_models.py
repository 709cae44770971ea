"""Fill models: what an order finds at the venue beyond the best price and size that are shown.

A taker finds tiers, each so many ticks worse than the best price, of some size or without limit;
it takes them one after the other. A model is a setting: its random numbers come from a generator
that is seeded with its `seed` and the instrument's id, so that a run can be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

import msgspec

from workbench.model.errors import ConfigError
from workbench.model.instruments import to_decimal
from workbench.model.money import ZERO
from workbench.model.settings import SettingsMeta


class Tier(NamedTuple):
    """What can be taken `worse` ticks beyond the best price: `size`, None for without limit.

    `is_slip` where nothing is shown there: an order that must not rest (IOC, FOK) stops before it.
    """

    worse: int
    size: Decimal | None
    is_slip: bool = False


class Seen(NamedTuple):
    """What a model is asked with: the order's quantity, the size shown, and the recent volume.

    `shown` and `recent_volume` are None where they are not known (and the size is without limit).
    """

    quantity: Decimal
    shown: Decimal | None
    recent_volume: Decimal | None


class FillModel(msgspec.Struct, frozen=True, kw_only=True, metaclass=SettingsMeta):
    """How orders fill; subclass it and override `tiers` or `fills_touch` for one of your own.

    This one shows level 1: the size that is shown at the best price, and one tick of slippage for
    the rest.

    Attributes:
        prob_fill_on_limit: Probability that a resting limit order fills when the market only
            touches its price; once the market goes through it, it fills.
        prob_slippage: Probability that a taker finds everything one tick worse.
        seed: Of the random numbers.

    >>> FillModel(prob_slippage=0.5, seed=7).prob_slippage
    0.5
    """

    prob_fill_on_limit: float = 1.0
    prob_slippage: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the probabilities."""
        for name in ("prob_fill_on_limit", "prob_slippage"):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ConfigError(f"{name} must be a number from 0 to 1; got {value!r}")
            if not 0 <= value <= 1:
                raise ConfigError(f"{name} must be from 0 to 1; got {value!r}")
        if type(self.seed) is not int:
            raise ConfigError(f"seed must be a whole number; got {self.seed!r}")

    def tiers(self, seen: Seen, random: Random) -> Sequence[Tier]:
        """Return what a taker finds, best first.

        Args:
            seen: What is known at this moment.
            random: Random numbers of this run.
        """
        worse = 1 if self.slips(random) else 0
        if seen.shown is None:
            return (Tier(worse, None),)
        return Tier(worse, seen.shown), Tier(worse + 1, None, is_slip=True)

    def slips(self, random: Random) -> bool:
        """Return whether a taker finds everything one tick worse this time."""
        return self.prob_slippage > 0 and random.random() < self.prob_slippage

    def fills_touch(self, random: Random) -> bool:
        """Return whether a resting limit order fills at a touch of its price this time."""
        return self.prob_fill_on_limit >= 1 or random.random() < self.prob_fill_on_limit


class BestPriceFillModel(FillModel, frozen=True, kw_only=True):
    """Everything fills at the best price, whatever size is shown."""

    def tiers(self, seen: Seen, random: Random) -> Sequence[Tier]:  # noqa: ARG002
        """Return the best price without limit."""
        return (Tier(1 if self.slips(random) else 0, None),)


class OneTickSlippageFillModel(FillModel, frozen=True, kw_only=True):
    """Everything a taker gets is one tick worse than the best price."""

    def tiers(self, seen: Seen, random: Random) -> Sequence[Tier]:  # noqa: ARG002
        """Return one tick worse without limit."""
        return (Tier(1, None),)


class TieredFillModel(FillModel, frozen=True, kw_only=True):
    """Fixed sizes at the best price and behind it; the rest slips one tick beyond the last.

    Attributes:
        sizes: At the best price, one tick worse, two ticks worse and so on; numbers are made exact.

    >>> TieredFillModel(sizes=(50, 30, 20)).sizes
    (Decimal('50'), Decimal('30'), Decimal('20'))
    """

    sizes: tuple[Decimal, ...] = (Decimal(10),)

    def __post_init__(self) -> None:
        """Check the sizes and make them exact."""
        super().__post_init__()
        given: Any = self.sizes
        if isinstance(given, str) or not isinstance(given, (tuple, list)) or not given:
            raise ConfigError(f"sizes are one number or more, such as (50, 30, 20); got {given!r}")
        sizes = tuple(to_decimal(one, "sizes") for one in given)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        if min(sizes) <= 0:
            raise ConfigError(f"sizes must be positive; got {given!r}")
        msgspec.structs.force_setattr(self, "sizes", sizes)

    def tiers(self, seen: Seen, random: Random) -> Sequence[Tier]:  # noqa: ARG002
        """Return the sizes, and without limit behind them."""
        worse = 1 if self.slips(random) else 0
        shown = [Tier(worse + index, size) for index, size in enumerate(self.sizes)]
        return (*shown, Tier(worse + len(shown), None, is_slip=True))


class TwoTierFillModel(TieredFillModel, frozen=True, kw_only=True):
    """10 at the best price, the rest one tick worse."""

    sizes: tuple[Decimal, ...] = (Decimal(10),)


class ThreeTierFillModel(TieredFillModel, frozen=True, kw_only=True):
    """50 at the best price, 30 one tick worse, 20 two ticks worse, the rest three."""

    sizes: tuple[Decimal, ...] = (Decimal(50), Decimal(30), Decimal(20))


class SizeAwareFillModel(FillModel, frozen=True, kw_only=True):
    """Small orders fill at the best price; larger ones only in part, the rest one tick worse.

    Attributes:
        threshold: What counts as small.
    """

    threshold: Decimal = Decimal(10)

    def __post_init__(self) -> None:
        """Check the threshold and make it exact."""
        super().__post_init__()
        exact = to_decimal(self.threshold, "threshold")
        if exact <= 0:
            raise ConfigError(f"threshold must be positive; got {self.threshold!r}")
        msgspec.structs.force_setattr(self, "threshold", exact)

    def tiers(self, seen: Seen, random: Random) -> Sequence[Tier]:
        """Return the best price for small orders, a part of it for larger ones."""
        worse = 1 if self.slips(random) else 0
        if seen.quantity <= self.threshold:
            return (Tier(worse, None),)
        return Tier(worse, self.threshold), Tier(worse + 1, None)


class VolumeSensitiveFillModel(FillModel, frozen=True, kw_only=True):
    """A share of the recent volume fills at the best price, the rest one tick worse.

    The recent volume is that of the last bar, or of the last 20 trades; where neither is known it
    is the size shown.

    Attributes:
        share: Of the recent volume, from 0 to 1.
    """

    share: Decimal = Decimal("0.25")

    def __post_init__(self) -> None:
        """Check the share and make it exact."""
        super().__post_init__()
        exact = to_decimal(self.share, "share")
        if not 0 < exact <= 1:
            raise ConfigError(f"share must be above 0 and at most 1; got {self.share!r}")
        msgspec.structs.force_setattr(self, "share", exact)

    def tiers(self, seen: Seen, random: Random) -> Sequence[Tier]:
        """Return a share of the volume, and without limit one tick worse."""
        worse = 1 if self.slips(random) else 0
        volume = seen.shown if seen.recent_volume is None else seen.recent_volume
        if volume is None:
            return (Tier(worse, None),)
        return Tier(worse, max(ZERO, volume * self.share)), Tier(worse + 1, None)
