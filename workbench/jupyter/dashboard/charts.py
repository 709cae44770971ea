"""The charts: Bokeh figures made once, embedded and fed by the dashboard's view.

A renderer's first tag names the tone it has in the theme; `ringed` gives it an edge in the colour
of the page, so that a mark stands out on a line.
"""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def described() -> dict[str, Any]:
    """Return what the view needs to embed the charts: each figure as JSON, by name.

    They hold no data, so that all dashboards share them. Takes a second when Bokeh is imported.
    """
    import bokeh
    from bokeh.embed import json_item

    figures = {"price": _price(), "profit": _profit(), "stalls": _stalls()}
    return {
        "version": bokeh.__version__,
        "items": {name: json_item(one) for name, one in figures.items()},
    }


@functools.cache
def script() -> bytes:
    """Return the source of BokehJS, for pages that do not have it yet: nothing is downloaded."""
    from bokeh.resources import Resources

    return "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw).encode()


def _price() -> Any:
    from bokeh.models import HoverTool

    figure = _figure()
    prices = _source("prices", ["t", "bid", "ask", "mid"])
    spread = figure.varea(x="t", y1="bid", y2="ask", source=prices, fill_alpha=0.25)
    middle = figure.line(x="t", y="mid", source=prices, line_width=1.2)
    spread.tags, middle.tags = ["quiet"], ["main"]
    # A fill from before the window is kept, but must not stretch it.
    figure.x_range.renderers = [middle]
    marks: list[Any] = []
    for side, marker, tone in (("buy", "triangle", "up"), ("sell", "inverted_triangle", "down")):
        source = _source(side, ["t", "price", "text"])
        mark = figure.scatter(x="t", y="price", source=source, marker=marker, size=11)
        mark.tags = [tone, "ringed"]
        marks.append(mark)
    figure.add_tools(HoverTool(renderers=marks, tooltips="@text"))
    return figure


def _profit() -> Any:
    figure = _figure()
    profit = _source("profit", ["t", "total", "realised"])
    realised = figure.step(
        x="t", y="realised", source=profit, mode="after", line_width=1.2, line_dash="4 3"
    )
    total = figure.line(x="t", y="total", source=profit, line_width=1.5)
    realised.tags, total.tags = ["quiet"], ["main"]
    return figure


def _stalls() -> Any:
    from bokeh.models import DataRange1d, HoverTool, Range1d

    figure = _figure(x_range=Range1d(start=0, end=1), y_range=DataRange1d(start=0))
    stalls = _source("stalls", ["t", "end", "seconds", "text"])
    # With an edge: a stall of 0.2 s is less than a pixel wide.
    box = figure.quad(left="t", right="end", bottom=0, top="seconds", source=stalls, line_width=2)
    box.tags = ["warn"]
    figure.yaxis.axis_label = "seconds"
    figure.add_tools(HoverTool(renderers=[box], tooltips="@text"))
    return figure


def _source(name: str, columns: list[str]) -> Any:
    from bokeh.models import ColumnDataSource

    empty: dict[str, Any] = {column: [] for column in columns}
    return ColumnDataSource(empty, name=name)


def _figure(**more: Any) -> Any:
    from bokeh.models import PanTool, ResetTool, WheelZoomTool
    from bokeh.plotting import figure

    made: Any = figure(
        x_axis_type="datetime",
        sizing_mode="stretch_both",
        min_border_left=50,
        tools=[PanTool(), WheelZoomTool(dimensions="width"), ResetTool()],
        toolbar_location="right",
        output_backend="canvas",
        **more,
    )
    made.toolbar.logo = None
    made.toolbar.autohide = True
    # Turning the wheel scrolls the notebook until zooming is chosen.
    made.toolbar.active_scroll = None
    made.yaxis.formatter.use_scientific = False
    made.grid.grid_line_alpha = 0.6
    made.xaxis.ticker.desired_num_ticks = 4  # more of them would run into each other
    return made
