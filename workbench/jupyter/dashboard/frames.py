"""From snapshots to frames: what the view shows, as text, and only what has changed.

A frame is a plain dict for JSON. A whole one holds everything with the window kept so far; the
others hold the parts that differ from the frame before, and what was added to the window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from workbench.jupyter.dashboard import tables
from workbench.jupyter.dashboard.amounts import amount, duration, moment, time_of_day
from workbench.jupyter.dashboard.heads import badges, head, tiles
from workbench.node.snapshots import FillRow, NodeSnapshot, StallRow
from workbench.runtime.channels import ChannelStatistics
from workbench.runtime.lanes import LaneStatistics

SPARK_NS = 1_000_000_000
"""How long one point of a spark line is; it holds the highest value of that time."""

MOST_POINTS = 1500
"""Points that a series of a chart keeps: five minutes at five a second."""

STALL_WINDOW_NS = 300_000_000_000
"""What the time line of stalls shows."""

MOST_SPARKS = 120
MOST_LOG_LINES = 300
_MOST_MARKS = 500
_MOST_STALLS = 500
_RATE_NS = 1_000_000_000
_MOST_SERIES = 30  # instruments with a price chart: each is kept for the whole window
_MS = 1e6


class Rates:
    """Messages a second over the last second or so, from counters that only grow.

    Shorter than that, the figures of a slow feed would flicker.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[int, dict[str, tuple[int, int]]]] = deque()
        self.now: dict[str, tuple[float, float]] = {}

    def add(
        self, now_ns: int, statistics: Iterable[ChannelStatistics] | Iterable[LaneStatistics]
    ) -> None:
        """Take counters at a moment of a monotonic clock, and set `now` to the rates in and out."""
        counts = {one.name: (one.count_in, one.count_out) for one in statistics}
        seen = self._seen
        while len(seen) > 1 and now_ns - seen[1][0] >= _RATE_NS:
            seen.popleft()
        if seen and now_ns > seen[0][0]:
            then_ns, before = seen[0]
            seconds = (now_ns - then_ns) / 1e9
            self.now = {
                name: (
                    max(0, count_in - before.get(name, (0, 0))[0]) / seconds,
                    max(0, count_out - before.get(name, (0, 0))[1]) / seconds,
                )
                for name, (count_in, count_out) in counts.items()
            }
        seen.append((now_ns, counts))


class Growing:
    """What is new in a list of which a snapshot holds the latest, and a counter tells the whole."""

    def __init__(self) -> None:
        self._count = 0

    def new(self, latest: tuple[Any, ...], total: int) -> tuple[Any, ...]:
        """Return what was added since; what came and went between two snapshots is not seen."""
        added = total - self._count
        self._count = total
        return latest[-added:] if 0 < added < len(latest) else latest if added > 0 else ()


class FrameMaker:
    """Makes the frames of one dashboard, and keeps the window they add up to.

    Every list kept is bounded. One thread may use it.
    """

    def __init__(self) -> None:
        self.last: NodeSnapshot | None = None
        self._parts: dict[str, Any] = {}
        self._rows: dict[str, list[tables.Row]] = {}
        self._sources: dict[str, Any] = {}
        self._channel_rates, self._lane_rates = Rates(), Rates()
        self._fills, self._lines, self._stalls_seen = Growing(), Growing(), Growing()
        self._sparks: deque[tuple[int, list[float]]] = deque(maxlen=MOST_SPARKS)
        self._prices: dict[str, deque[list[float]]] = {}
        self._profit: dict[str, deque[list[float]]] = {}
        self._marks: deque[list[Any]] = deque(maxlen=_MOST_MARKS)
        self._stalls: deque[list[Any]] = deque(maxlen=_MOST_STALLS)
        self._log: deque[list[str]] = deque(maxlen=MOST_LOG_LINES)

    def add(self, snapshot: NodeSnapshot, now_ns: int) -> dict[str, Any]:
        """Take a snapshot, read at a moment of a monotonic clock; return what it changes.

        Args:
            snapshot: The newest.
            now_ns: For rates: the counters of channels and lanes are of this moment.
        """
        self._channel_rates.add(now_ns, snapshot.channels)
        self._lane_rates.add(now_ns, snapshot.lanes)
        self.last = snapshot
        changes = self._changed_parts(snapshot)
        if rows := self._changed_rows(snapshot):
            changes["rows"] = rows
        marks = self._add_marks(snapshot)
        added = {
            "sparks": self._add_sparks(snapshot, now_ns),
            "prices": self._add_prices(snapshot, marks),
            "profit": self._add_profit(snapshot),
            "marks": marks,
            "stalls": self._add_stalls(snapshot),
            "log": self._add_log(snapshot),
        }
        return changes | {name: new for name, new in added.items() if new}

    def whole(self) -> dict[str, Any]:
        """Return everything, with the window kept so far."""
        window = {
            "sparks": list(self._sparks),
            "prices": {name: list(points) for name, points in self._prices.items()},
            "profit": {name: list(points) for name, points in self._profit.items()},
            "marks": list(self._marks),
            "stalls": list(self._stalls),
            "log": list(self._log),
        }
        return self._parts | {"rows": dict(self._rows)} | window

    # What is now

    def _changed_parts(self, snapshot: NodeSnapshot) -> dict[str, Any]:
        rates = self._channel_rates.now
        parts: dict[str, Any] = {
            "head": head(snapshot),
            "clock": f"{moment(snapshot.ts)} UTC" if snapshot.ts else "",
            "tiles": tiles(snapshot, sum(one[1] for one in rates.values())),
            "badges": badges(snapshot),
            "exceptions": list(snapshot.exceptions),
        }
        if snapshot.ts:
            # Whole seconds: the chart need not move more often.
            end = snapshot.ts // 1_000_000_000 * 1_000
            parts["window"] = [end - STALL_WINDOW_NS / _MS, end]
        changed = {name: new for name, new in parts.items() if self._parts.get(name) != new}
        self._parts |= changed
        return changed

    def _changed_rows(self, snapshot: NodeSnapshot) -> dict[str, list[tables.Row]]:
        channels, lanes = self._channel_rates.now, self._lane_rates.now
        rows = {
            "channels": tables.channel_rows(snapshot, channels),
            "lanes": tables.lane_rows(snapshot, lanes),
        }
        # Text is made again only of what has changed.
        for name, (source, make) in _sources(snapshot).items():
            if self._sources.get(name) != source or name not in self._rows:
                self._sources[name] = source
                rows[name] = make(source)
        changed = {name: new for name, new in rows.items() if self._rows.get(name) != new}
        self._rows |= changed
        return changed

    # What adds up

    def _add_sparks(self, snapshot: NodeSnapshot, now_ns: int) -> list[tuple[int, list[float]]]:
        """Add one value of each series; those of one stretch of time make one point."""
        if not snapshot.channels:
            return []
        values: list[float] = []
        for one in snapshot.channels:
            values += [one.depth, round(self._channel_rates.now.get(one.name, (0, 0))[1], 1)]
        for lane in snapshot.lanes:
            values.append(round(self._lane_rates.now.get(lane.name, (0, 0))[1], 1))
        stretch = now_ns // SPARK_NS
        if self._sparks and self._sparks[-1][0] == stretch:
            values = [max(pair) for pair in zip(self._sparks.pop()[1], values, strict=True)]
        self._sparks.append((stretch, values))
        return [self._sparks[-1]]

    def _add_prices(
        self, snapshot: NodeSnapshot, marks: list[list[Any]]
    ) -> dict[str, list[list[float]]]:
        """Add the latest prices, and those of new fills: where time is fast, frames are few."""
        added: dict[str, list[list[float]]] = {}
        for instrument_id, _, ts, price, _ in marks:
            point = [ts, price, price, price]
            if _append(self._prices, instrument_id, point):
                added.setdefault(instrument_id, []).append(point)
        for one in snapshot.prices:
            if one.bid is not None and one.ask is not None:
                point = [one.ts / _MS, one.bid, one.ask, (one.bid + one.ask) / 2]
            elif one.last is not None:
                point = [one.ts / _MS, one.last, one.last, one.last]
            else:
                continue
            if _append(self._prices, one.instrument_id, point):
                added.setdefault(one.instrument_id, []).append(point)
        return added

    def _add_profit(self, snapshot: NodeSnapshot) -> dict[str, list[list[float]]]:
        added: dict[str, list[list[float]]] = {}
        for one in snapshot.profit:
            point = [snapshot.ts / _MS, float(one.total), float(one.realized)]
            if _append(self._profit, one.currency, point):
                added[one.currency] = [point]
        return added

    def _add_marks(self, snapshot: NodeSnapshot) -> list[list[Any]]:
        new = [_mark(one) for one in self._fills.new(snapshot.fills, snapshot.counts.fills)]
        self._marks.extend(new)
        return new

    def _add_stalls(self, snapshot: NodeSnapshot) -> list[list[Any]]:
        new = [_stall(one) for one in self._stalls_seen.new(snapshot.stalls, snapshot.stall_count)]
        self._stalls.extend(new)
        return new

    def _add_log(self, snapshot: NodeSnapshot) -> list[list[str]]:
        new = [
            [time_of_day(one.ts), one.level, one.text]
            for one in self._lines.new(snapshot.log, snapshot.log_count)
        ]
        self._log.extend(new)
        return new


_Makes = Callable[[Any], list[tables.Row]]


def _sources(snapshot: NodeSnapshot) -> Mapping[str, tuple[Any, _Makes]]:
    """Return what each table of values is made of, and by what."""
    return {
        "open_orders": (snapshot.orders, tables.open_order_rows),
        "ended_orders": (snapshot.orders, tables.ended_order_rows),
        "fills": (snapshot.fills, tables.fill_rows),
        "positions": (snapshot.positions, tables.position_rows),
        "accounts": (snapshot.accounts, tables.account_rows),
    }


def _append(kept: dict[str, deque[list[float]]], name: str, point: list[float]) -> bool:
    """Add a point to a series unless its time has not moved on; return whether it was added."""
    series = kept.get(name)
    if series is None:
        if len(kept) >= _MOST_SERIES:
            return False
        series = kept[name] = deque(maxlen=MOST_POINTS)
    if series and point[0] <= series[-1][0]:
        return False
    series.append(point)
    return True


def _mark(fill: FillRow) -> list[Any]:
    verb = "bought" if fill.side == "buy" else "sold"
    text = (
        f"{verb} {amount(fill.quantity)} at {amount(fill.price)}, {time_of_day(fill.ts)};"
        f" {fill.client_order_id}"
    )
    return [fill.instrument_id, fill.side, fill.ts / _MS, float(fill.price), text]


def _stall(stall: StallRow) -> list[Any]:
    begin = stall.ts - stall.duration_ns
    text = f"no turn for {duration(stall.duration_ns)} from {time_of_day(begin)} on"
    return [begin / _MS, stall.ts / _MS, stall.duration_ns / 1e9, text]
