"""What a shadow found, as a table and as pictures."""

# pandas' stubs leave parts of these calls unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import html
from collections.abc import Iterable
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.model.display import duration, format_ns, grid_html, shown
from workbench.model.identifiers import Venue
from workbench.model.money import MONEY_CONTEXT, ZERO
from workbench.node.shadow_chart import gaps_html
from workbench.node.shadow_gaps import FillGap, InstrumentGap, OrderGap, PriceGap

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 20
_GAP_COLUMNS = ("gap", "ticks", "bps", "money", "currency")
ORDER_COLUMNS = (
    *("given", "client_order_id", "strategy_id", "account_id", "instrument_id", "side"),
    *("order_type", "quantity", "venue_status", "shadow_status", "venue_filled", "shadow_filled"),
    *("venue_price", "shadow_price", *_GAP_COLUMNS, "venue_delay_ns", "shadow_delay_ns"),
    *("missed_at_venue", "missed_in_shadow", "venue_rejection", "shadow_rejection"),
)
FILL_COLUMNS = (
    *("time", "trade_id", "client_order_id", "instrument_id", "side", "quantity"),
    *("venue_price", "shadow_price", *_GAP_COLUMNS),
)
_DELAYS = ("venue_delay_ns", "shadow_delay_ns")


class ShadowReport(msgspec.Struct, frozen=True, kw_only=True):
    """How far the orders at a venue and the same orders at a simulated exchange are apart.

    Gaps are positive where the venue was worse. What is missed counts once an order is over at its
    venue. `frame()` has an order a row, `fills()` a fill, `summary()` an instrument.

    Attributes:
        began: When the shadow began to look on, nanoseconds.
        ts: When this was made, on the node's clock, nanoseconds.
        venues: Which venues have a shadow.
        orders: The latest orders, oldest first; the shadow keeps so many one by one.
        fill_gaps: The latest fills at the venue, oldest first.
        instruments: What all orders add up to, those that are not kept included.
        dropped: How many older orders are in the sums alone.
        unseen_fills: How many fills there were of orders that the shadow was not given, or has
            dropped.
        fault: What ended the shadow; empty while it looks on.
    """

    began: int
    ts: int
    venues: tuple[Venue, ...]
    orders: tuple[OrderGap, ...] = ()
    fill_gaps: tuple[FillGap, ...] = ()
    instruments: tuple[InstrumentGap, ...] = ()
    dropped: int = 0
    unseen_fills: int = 0
    fault: str = ""

    def frame(self) -> pd.DataFrame:
        """Return the orders, one a row; prices and money are `Decimal`, delays nanoseconds."""
        rows = [
            (
                *(o.given, o.client_order_id, o.strategy_id, o.account_id, o.instrument_id),
                *(o.side.value, o.order_type.value, o.quantity, o.venue_status.value),
                *(o.shadow_status.value, o.venue_filled, o.shadow_filled, o.venue_price),
                *(o.shadow_price, *_gap_cells(o.gap, o.currency), o.venue_delay_ns),
                *(o.shadow_delay_ns, o.missed_at_venue, o.missed_in_shadow),
                *(o.venue_rejection, o.shadow_rejection),
            )
            for o in self.orders
        ]
        return _frame(rows, ORDER_COLUMNS, times=("given",))

    def fills(self) -> pd.DataFrame:
        """Return the fills at the venue, one a row, each beside its order's average price here."""
        rows = [
            (
                *(f.ts, f.trade_id, f.client_order_id, f.instrument_id, f.side.value, f.quantity),
                *(f.venue_price, f.shadow_price, *_gap_cells(f.gap, f.currency)),
            )
            for f in self.fill_gaps
        ]
        return _frame(rows, FILL_COLUMNS, times=("time",))

    def summary(self) -> pd.DataFrame:
        """Return what the orders of each instrument add up to, one instrument a column."""
        import pandas as pd

        names = [name for name in InstrumentGap.__struct_fields__ if name != "instrument_id"]
        columns = {
            str(one.instrument_id): [getattr(one, name) for name in names]
            for one in self.instruments
        }
        return pd.DataFrame(columns, index=names, dtype=object)

    @property
    def money(self) -> dict[str, Decimal]:
        """Return what the venue cost more than the shadow, by currency, before fees."""
        found: dict[str, Decimal] = {}
        with localcontext(MONEY_CONTEXT):
            for one in self.instruments:
                found[one.currency] = found.get(one.currency, ZERO) + one.money
        return found

    def __repr__(self) -> str:
        """Return it as a sentence."""
        return f"ShadowReport({'; '.join(self._sentences())})"

    def _sentences(self) -> list[str]:
        count = sum(one.orders for one in self.instruments)
        both = sum(one.filled_at_both for one in self.instruments)
        parts = [f"{_orders(count)}, {both:,} filled at both"]
        parts += [f"the venue cost {_more(v, k)}" for k, v in self.money.items() if both]
        missed = (
            ("filled in the shadow only", "filled_in_shadow_only"),
            ("filled at the venue only", "filled_at_venue_only"),
            ("rejected at the venue only", "rejected_at_venue_only"),
            ("rejected in the shadow only", "rejected_in_shadow_only"),
            ("still working", "working"),
        )
        for text, name in missed:
            if found := sum(getattr(one, name) for one in self.instruments):
                parts.append(f"{found:,} {text}")
        if self.unseen_fills:
            parts.append(f"fills of orders it does not know: {self.unseen_fills:,}")
        if self.fault:
            parts.append(f"it has ended: {self.fault}")
        return parts

    def _repr_html_(self) -> str:
        said = "; ".join(self._sentences())
        venues = ", ".join(self.venues)
        head = (
            f"<b>Shadow of {html.escape(venues)}</b>, from {format_ns(self.began)} to"
            f" {format_ns(self.ts)}<br>{html.escape(said)}"
        )
        return f"<div>{head}{self._summary_html()}{gaps_html(self.fill_gaps)}{self._latest()}</div>"

    def _summary_html(self) -> str:
        columns = (
            *("instrument", "orders", "filled at both", "missed at the venue"),
            *("missed in the shadow", "gap, ticks", "gap, bps", "cost more"),
            *("delay at the venue", "delay in the shadow"),
        )
        rows = (
            (
                *(one.instrument_id, shown(one.orders), shown(one.filled_at_both)),
                *(shown(one.missed_at_venue), shown(one.missed_in_shadow), _rounded(one.ticks)),
                *(_rounded(one.bps), f"{_signed(one.money)} {one.currency}"),
                *(duration(one.venue_delay_ns), duration(one.shadow_delay_ns)),
            )
            for one in self.instruments
        )
        return grid_html(columns, rows)

    def _latest(self) -> str:
        columns = (
            *("given", "order", "instrument", "side", "quantity", "venue", "shadow"),
            *("venue price", "shadow price", "gap, ticks", "cost more"),
            *("venue delay", "shadow delay"),
        )
        rows = (
            (
                *(format_ns(o.given), o.client_order_id, o.instrument_id, o.side.value),
                *(shown(o.quantity), _became(o.venue_status, o.venue_filled)),
                *(_became(o.shadow_status, o.shadow_filled), shown(o.venue_price)),
                *(shown(o.shadow_price), _rounded(None if o.gap is None else o.gap.ticks)),
                "" if o.gap is None else f"{_signed(o.gap.money)} {o.currency}",
                *(duration(o.venue_delay_ns), duration(o.shadow_delay_ns)),
            )
            for o in reversed(self.orders[-_SHOWN:])
        )
        older = len(self.orders) + self.dropped - _SHOWN
        title = f"The latest {_SHOWN} of {older + _SHOWN:,} orders" if older > 0 else "Orders"
        # Wider than many a page: it is scrolled by itself.
        table = f'<div style="overflow-x: auto">{grid_html(columns, rows, title)}</div>'
        return table if self.orders else ""


def _gap_cells(gap: PriceGap | None, currency: str) -> tuple[Any, ...]:
    if gap is None:
        return None, None, None, None, currency
    return gap.price, gap.ticks, gap.bps, gap.money, currency


def _frame(
    rows: list[tuple[Any, ...]], columns: tuple[str, ...], times: Iterable[str]
) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(columns), dtype=object)
    for name in times:
        frame[name] = pd.to_datetime(pd.Series(frame[name], dtype="Int64"), unit="ns", utc=True)
    for name in _DELAYS:
        if name in columns:
            frame[name] = frame[name].astype("Int64")
    return frame


def _orders(count: int) -> str:
    return f"{count:,} order{'' if count == 1 else 's'}"


def _rounded(value: Decimal | None) -> str:
    return "" if value is None else shown(round(value, 2))


def _signed(value: Decimal) -> str:
    return f"{'+' if value > 0 else ''}{shown(value)}"


def _more(value: Decimal, currency: str) -> str:
    if not value:
        return f"the same in {currency}"
    return f"{shown(abs(value))} {currency} {'more' if value > 0 else 'less'}"


def _became(status: Any, filled: Decimal) -> str:
    text = status.value.replace("_", " ")
    return f"{text}, {shown(filled)}" if filled else text
