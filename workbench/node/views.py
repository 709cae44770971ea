"""What a node shows: its orders, fills, positions and counters as DataFrames."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench.model.errors import ThreadError
from workbench.node import frames
from workbench.trading.core import TradingCore

if TYPE_CHECKING:
    import pandas as pd

ANSWER_S = 1.0


class NodeViews:
    """The frames of one node, each with its last snapshot.

    A frame is made on the node's own thread, between two messages. From another thread, where the
    node's loop does not answer within a second (a cell keeps it busy), the last snapshot is
    returned instead. `frame.attrs["as_of_ns"]` says when a frame was made, on the node's clock.

    Args:
        call: Calls a function on the node's thread, within so many seconds.
    """

    def __init__(self, call: Callable[[Callable[[], Any], float], Any]) -> None:
        self.core: TradingCore | None = None
        self._call = call
        self._snapshots: dict[str, pd.DataFrame] = {}

    def frame(self, name: str) -> pd.DataFrame:
        """Return one of the frames in `MAKERS`; before the node is built, an empty one.

        Raises:
            ThreadError: If the loop does not answer and there is no snapshot yet.
        """
        core = self.core
        make = MAKERS[name]
        if core is None:
            return make(None)

        def made() -> pd.DataFrame:
            frame = make(core)
            frame.attrs["as_of_ns"] = core.clock.timestamp_ns()
            return frame

        try:
            self._snapshots[name] = self._call(made, ANSWER_S)
        except ThreadError as error:
            if name not in self._snapshots:
                raise ThreadError(
                    f"{error}, and there is no earlier snapshot of its {name}"
                ) from error
        return self._snapshots[name].copy()


class NodeFrames:
    """The frames of a node, as its methods."""

    _views: NodeViews

    def orders(self) -> pd.DataFrame:
        """Return all orders, oldest first; amounts are `Decimal`, times UTC.

        This and the other views can be called from any thread. Where the node's loop does not
        answer within a second they return their last snapshot; `attrs["as_of_ns"]` says of when.
        """
        return self._views.frame("orders")

    def order_events(self) -> pd.DataFrame:
        """Return the life of every order in the log, denials with code and reason, oldest first."""
        return self._views.frame("order_events")

    def fills(self) -> pd.DataFrame:
        """Return all fills, oldest first."""
        return self._views.frame("fills")

    def positions(self) -> pd.DataFrame:
        """Return all positions, open and closed, oldest first; `quantity` is signed."""
        return self._views.frame("positions")

    def accounts(self) -> pd.DataFrame:
        """Return each account's balances as they are now."""
        return self._views.frame("accounts")

    def swaps(self) -> pd.DataFrame:
        """Return the exchanges of strategies' code, with fingerprints, oldest first."""
        return self._views.frame("swaps")

    def channels(self) -> pd.DataFrame:
        """Return the five channels' counters, in the runner's order; times in nanoseconds."""
        return self._views.frame("channels")

    def lanes(self) -> pd.DataFrame:
        """Return the eight engine lanes' counters."""
        return self._views.frame("lanes")


def _orders(core: TradingCore | None) -> pd.DataFrame:
    return frames.orders_frame(core.cache.orders() if core else ())


def _order_events(core: TradingCore | None) -> pd.DataFrame:
    return frames.order_events_frame(core.log if core else ())


def _fills(core: TradingCore | None) -> pd.DataFrame:
    return frames.fills_frame(core.log if core else ())


def _positions(core: TradingCore | None) -> pd.DataFrame:
    return frames.positions_frame(core.cache.positions() if core else ())


def _accounts(core: TradingCore | None) -> pd.DataFrame:
    return frames.accounts_frame(core.cache.accounts() if core else ())


def _swaps(core: TradingCore | None) -> pd.DataFrame:
    return frames.swaps_frame(core.log if core else ())


def _channels(core: TradingCore | None) -> pd.DataFrame:
    return frames.channels_frame(core.dispatcher.channels.statistics() if core else ())


def _lanes(core: TradingCore | None) -> pd.DataFrame:
    return frames.lanes_frame(core.lanes.statistics() if core else ())


MAKERS: dict[str, Callable[[TradingCore | None], pd.DataFrame]] = {
    "orders": _orders,
    "order_events": _order_events,
    "fills": _fills,
    "positions": _positions,
    "accounts": _accounts,
    "swaps": _swaps,
    "channels": _channels,
    "lanes": _lanes,
}
"""How each frame is made."""
