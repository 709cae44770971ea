"""What the risk engine tells about itself; published on the topic `events.risk`."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from workbench.model.enums import TradingState
from workbench.model.money import Currency


class TradingStateChanged(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """What risk lets through is another now; `reason` is empty where it was set from outside."""

    state: TradingState
    reason: str = ""
    ts_event: int
    ts_init: int


class LossLimitReached(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """The loss of a day (UTC) reached its limit; once a day for each limit.

    `account_id` is empty where the limit is for all accounts together; `loss` and `limit` are
    positive amounts of `currency`.
    """

    account_id: str = ""
    loss: Decimal
    limit: Decimal
    currency: Currency
    ts_event: int
    ts_init: int


RiskEvent = TradingStateChanged | LossLimitReached
