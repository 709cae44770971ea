"""The venue's trading session: when a day opens and closes."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from workbench.model.errors import ConfigError
from workbench.model.settings import SettingsMeta

_SECOND = 1_000_000_000


class TradingSession(msgspec.Struct, frozen=True, kw_only=True, metaclass=SettingsMeta):
    """The hours of a venue; every day has a session (weekends and holidays are not known).

    DAY orders end at its close, AT_THE_OPEN and AT_THE_CLOSE orders trade at its ends. Data outside
    these hours is traded on all the same.

    Attributes:
        open: `"HH:MM"`.
        close: `"HH:MM"`, after `open`; `"24:00"` is midnight.
        timezone: An IANA name, such as `"America/New_York"`.

    >>> TradingSession(open="09:30", close="16:00", timezone="America/New_York").close
    '16:00'
    """

    open: str = "00:00"
    close: str = "24:00"
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        """Check that all three can be read."""
        if _minutes(self.open, "open") >= _minutes(self.close, "close"):
            raise ConfigError(
                f"a session's close must be after its open; got {self.open} to {self.close}"
            )
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, TypeError):
            raise ConfigError(
                f"timezone must be an IANA name, such as 'Europe/London'; got {self.timezone!r}"
            ) from None

    def next_open(self, after_ns: int) -> int:
        """Return the first opening at or after a time, nanoseconds."""
        return self._next(after_ns, _minutes(self.open, "open"))

    def next_close(self, after_ns: int) -> int:
        """Return the first close at or after a time, nanoseconds."""
        return self._next(after_ns, _minutes(self.close, "close"))

    def _next(self, after_ns: int, minutes: int) -> int:
        zone = ZoneInfo(self.timezone)
        seconds, rest = divmod(after_ns, _SECOND)
        today = datetime.fromtimestamp(seconds, UTC).astimezone(zone).date()
        # A close at 24:00 belongs to the day before.
        for days in (-1, 0, 1, 2):
            moment = _at(today + timedelta(days=days), minutes, zone)
            if moment * _SECOND >= seconds * _SECOND + rest:
                return moment * _SECOND
        raise ConfigError(f"no session of {self!r} after {after_ns}")  # pragma: no cover


def _at(day: date, minutes: int, zone: ZoneInfo) -> int:
    if minutes == 24 * 60:
        day, minutes = day + timedelta(days=1), 0
    local = datetime.combine(day, time(minutes // 60, minutes % 60), zone)
    return int(local.timestamp())


def _minutes(text: str, what: str) -> int:
    try:
        hours, minutes = (int(part) for part in text.split(":"))
    except (ValueError, AttributeError):
        hours, minutes = -1, 0
    total = hours * 60 + minutes
    if not (0 <= hours <= 24 and 0 <= minutes < 60 and total <= 24 * 60):
        raise ConfigError(f"a session's {what} is 'HH:MM' from '00:00' to '24:00'; got {text!r}")
    return total
