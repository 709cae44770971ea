"""Pictures of the gaps between a venue and its shadow: plain SVG, without a chart library."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from decimal import Decimal

from workbench.model.display import format_ns, shown
from workbench.node.shadow_gaps import FillGap

WIDTH = 640
HEIGHT = 140
_LEFT = 70
_MARGIN = 12
_LINE = 12
_MOST = 2_000  # marks in one picture, the latest
_WORSE, _BETTER, _EVEN = "#c62828", "#1b7f3b", "#808080"


def gaps_html(fills: Iterable[FillGap]) -> str:
    """Return the gap of each fill over time, and what they add up to in each currency.

    Fills of which the shadow has no price are left out; without any other there is nothing to see.
    """
    both = [fill for fill in fills if fill.gap is not None]
    if not both:
        return ""
    currencies = dict.fromkeys(fill.currency for fill in both)
    totals = (_total(name, [fill for fill in both if fill.currency == name]) for name in currencies)
    return _each(both[-_MOST:]) + "".join(totals)


def _each(fills: Sequence[FillGap]) -> str:
    gaps = [0.0 if fill.gap is None else float(fill.gap.bps) for fill in fills]
    picture = _Picture([fill.ts for fill in fills], gaps)
    marks = "".join(
        f"<circle cx='{picture.x(fill.ts):.1f}' cy='{picture.y(gap):.1f}' r='3'"
        f" fill='{_WORSE if gap > 0 else _BETTER if gap < 0 else _EVEN}' fill-opacity='.7'>"
        f"<title>{html.escape(_told(fill))}</title></circle>"
        for fill, gap in zip(fills, gaps, strict=True)
    )
    said = "Gap of each fill, basis points; above the line the venue was worse"
    return picture.html(said, marks, "bps")


def _total(currency: str, fills: Sequence[FillGap]) -> str:
    total, sums = Decimal(0), list[float]()
    for fill in fills:
        if fill.gap is not None:
            total += fill.gap.money
        sums.append(float(total))
    picture = _Picture([fill.ts for fill in fills], sums)
    points = [f"{picture.x(fills[0].ts):.1f},{picture.y(0.0):.1f}"]
    before = picture.y(0.0)
    for fill, value in zip(fills, sums, strict=True):
        x, before_y, before = picture.x(fill.ts), before, picture.y(value)
        points += [f"{x:.1f},{before_y:.1f}", f"{x:.1f},{before:.1f}"]
    line = (
        f"<polyline points='{' '.join(points)}' fill='none' stroke='#1f77b4' stroke-width='1.5'/>"
    )
    said = f"What the venue cost more, added up: {shown(round(total, 8))} {currency}"
    return picture.html(said, line, currency)


def _told(fill: FillGap) -> str:
    assert fill.gap is not None
    return (
        f"{fill.client_order_id} {fill.side.value} {shown(fill.quantity)} at"
        f" {shown(fill.venue_price)}, in the shadow {shown(fill.shadow_price)}:"
        f" {shown(round(fill.gap.bps, 2))} bps, {shown(fill.gap.money)} {fill.currency}"
    )


class _Picture:
    """The scales of one picture, zero always in sight."""

    def __init__(self, times: Sequence[int], values: Sequence[float]) -> None:
        self._first, self._last = min(times), max(times)
        self._low, self._high = min(0.0, *values), max(0.0, *values)
        if self._low == self._high:
            self._low, self._high = -1.0, 1.0

    def x(self, ts: int) -> float:
        span = self._last - self._first
        share = (ts - self._first) / span if span else 0.5
        return _LEFT + share * (WIDTH - _LEFT - _MARGIN)

    def y(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return HEIGHT - _MARGIN - share * (HEIGHT - 2 * _MARGIN)

    def html(self, caption: str, marks: str, unit: str) -> str:
        zero = self.y(0.0)
        ends = (end for end in (self._low, self._high) if abs(self.y(end) - zero) > _LINE)
        labels = "".join(
            f"<text x='{_LEFT - 6}' y='{self.y(value) + 4:.1f}' text-anchor='end' font-size='11'"
            f" fill='currentColor' fill-opacity='.7'>{html.escape(f'{value:,.4g}')}</text>"
            for value in (0.0, *ends)
        )
        period = f"{format_ns(self._first)} to {format_ns(self._last)}"
        return (
            f"<figure style='margin:8px 0'><figcaption>{html.escape(caption)}</figcaption>"
            f"<svg width='{WIDTH}' height='{HEIGHT}' role='img'"
            f" aria-label='{html.escape(f'{unit}, {period}', quote=True)}'>"
            f"<line x1='{_LEFT}' x2='{WIDTH - _MARGIN}' y1='{zero:.1f}' y2='{zero:.1f}'"
            " stroke='currentColor' stroke-opacity='.4' stroke-dasharray='4 3'/>"
            f"{labels}{marks}</svg></figure>"
        )
