"""The trials of the plug-in for ccxt; without ccxt its tests are skipped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def make_trial() -> Callable[..., Any]:
    pytest.importorskip("ccxt", reason="ccxt is not installed; the extra `ccxt` brings it")
    reason = "aiohttp is not installed; the extra `exchange` brings it"
    pytest.importorskip("aiohttp", reason=reason)
    from tests.ccxt_trial import LocalTrial

    return LocalTrial


@pytest.fixture
def local_trial(make_trial: Callable[..., Any]) -> Any:
    return make_trial()
