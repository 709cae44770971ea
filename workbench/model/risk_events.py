"""What the risk engine tells about itself: recorded, and published on the topic `events.risk`."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from workbench.model.enums import TradingState
from workbench.model.identifiers import AccountId
from workbench.model.money import Currency


class TradingStateChanged(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """What risk lets through is another now; `reason` is empty where it was set from outside."""

    state: TradingState
    reason: str = ""
    ts_event: int
    ts_init: int


class LossDayBegan(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """From which profit on the loss of a day (UTC) is counted; recorded, and not published.

    `profit` is what the account had made, realised and unrealised, in `currency`; `day` counts
    from 1970-01-01.
    """

    account_id: AccountId
    day: int
    profit: Decimal
    currency: Currency
    ts_event: int
    ts_init: int


class LossLimitReached(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """The loss of a day (UTC) reached its limit; once a day for each limit.

    `account_id` is empty where the limit is for accounts together, which are `accounts`; `loss` and
    `limit` are positive amounts of `currency`.
    """

    account_id: str = ""
    accounts: tuple[AccountId, ...] = ()
    loss: Decimal
    limit: Decimal
    currency: Currency
    ts_event: int
    ts_init: int


RiskEvent = TradingStateChanged | LossDayBegan | LossLimitReached
