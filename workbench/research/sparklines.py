"""Small pictures of curves for a notebook: plain SVG, without a chart library."""

# pandas' and NumPy's stubs leave parts of these calls unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 640
HEIGHT = 120
_MARGIN = 4


def curves_html(title: str, frame: pd.DataFrame) -> str:
    """Return each column of a frame as a line over time, with its lowest, highest and last value.

    Args:
        title: What the columns are, said in front of each one's name.
        frame: float64 columns, indexed by time; columns with fewer than two values are left out.
    """
    return "".join(_figure(f"{title}, {name}", frame[name].dropna()) for name in frame.columns)


def _figure(caption: str, series: pd.Series[float]) -> str:
    import pandas as pd

    if len(series) < 2:
        return ""
    values = series.to_numpy(dtype=np.float64)
    times = pd.DatetimeIndex(series.index).asi8.astype(np.float64)
    low, high, last = float(values.min()), float(values.max()), float(values[-1])
    said = f"{caption}: {low:,.2f} to {high:,.2f}, last {last:,.2f}"
    return (
        f"<figure style='margin:8px 0'><figcaption>{html.escape(said)}</figcaption>"
        f"<svg width='{WIDTH}' height='{HEIGHT}' role='img'>"
        f"<polyline points='{_points(times, values)}' fill='none' stroke='#1f77b4'"
        " stroke-width='1.5'/></svg></figure>"
    )


def _points(times: np.ndarray, values: np.ndarray) -> str:
    """Return a polyline's points: of each pixel's values the first, lowest, highest and last."""
    x = _scaled(times, WIDTH)
    y = HEIGHT - _MARGIN - _scaled(values, HEIGHT - 2 * _MARGIN)
    columns = np.split(np.arange(len(x)), np.flatnonzero(np.diff(x.astype(np.int64))) + 1)
    keep = sorted(
        {
            int(i)
            for rows in columns
            for i in (rows[0], rows[y[rows].argmin()], rows[y[rows].argmax()], rows[-1])
        }
    )
    return " ".join(f"{x[i]:.1f},{y[i]:.1f}" for i in keep)


def _scaled(values: np.ndarray, size: int) -> np.ndarray:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) * size if high > low else np.zeros(len(values))
