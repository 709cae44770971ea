"""Trading sessions: what they refuse, and the ends of days that are not 24 hours long."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from workbench.model.errors import ConfigError
from workbench.sim import TradingSession


def local(text: str, zone: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
    return int(moment.timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("zone", "day", "next_day"),
    [
        ("Europe/London", "2026-03-29", "2026-03-30"),  # 23 hours
        ("Europe/London", "2026-10-25", "2026-10-26"),  # 25 hours
        ("Asia/Tokyo", "2026-10-25", "2026-10-26"),
    ],
)
def test_a_whole_day_ends_at_local_midnight(zone: str, day: str, next_day: str) -> None:
    session = TradingSession(timezone=zone)
    assert session.next_close(local(f"{day}T12:00", zone)) == local(f"{next_day}T00:00", zone)
    assert session.next_open(local(f"{day}T12:00", zone)) == local(f"{next_day}T00:00", zone)


def test_a_close_is_reached_at_its_own_nanosecond_and_passed_by_the_next() -> None:
    session = TradingSession(open="09:00", close="17:30", timezone="Europe/London")
    close = local("2026-07-01T17:30", "Europe/London")
    assert session.next_close(close - 1) == close
    assert session.next_close(close) == close
    assert session.next_close(close + 1) == local("2026-07-02T17:30", "Europe/London")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"open": "16:00", "close": "09:30"}, "close must be after its open"),
        ({"open": "9"}, "'HH:MM' from '00:00' to '24:00'; got '9'"),
        ({"close": "24:01"}, "got '24:01'"),
        ({"close": "12:60"}, "got '12:60'"),
        ({"open": 930}, "got 930"),
        ({"timezone": "Mars/Olympus"}, "IANA name"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        TradingSession(**given)
