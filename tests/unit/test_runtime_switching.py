"""The switch interval is short while a runner runs, and what it was afterwards."""

from __future__ import annotations

import sys

from workbench.runtime.switching import SWITCH_INTERVAL_S, quick_switching


def test_the_last_to_leave_restores_the_interval() -> None:
    before = sys.getswitchinterval()
    with quick_switching():
        with quick_switching():
            assert sys.getswitchinterval() <= SWITCH_INTERVAL_S * 1.01
        assert sys.getswitchinterval() <= SWITCH_INTERVAL_S * 1.01
    assert sys.getswitchinterval() == before


def test_an_interval_that_is_shorter_already_is_left_alone() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)
    try:
        with quick_switching():
            assert sys.getswitchinterval() < SWITCH_INTERVAL_S / 2
    finally:
        sys.setswitchinterval(before)


def test_an_exception_restores_the_interval_too() -> None:
    before = sys.getswitchinterval()
    try:
        with quick_switching():
            raise KeyError
    except KeyError:
        pass
    assert sys.getswitchinterval() == before
