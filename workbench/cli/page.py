"""An executed notebook as one HTML page, for those who have no JupyterLab to look at it.

Only what the demonstration's notebooks use: cells, text, HTML and SVG outputs, images, tracebacks,
and scripts that charts bring along. Markdown is kept as text. nbconvert does all of it, at the
price of a dozen dependencies.
"""

from __future__ import annotations

import html
import re
from typing import Any

_STYLE = """
body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
pre { font: 13px/1.45 monospace; overflow-x: auto; margin: .3em 0; }
pre.source { background: #8881; border-left: 3px solid #1f77b4; padding: .6em; }
pre.error { background: #d6272822; padding: .6em; }
div.prose { white-space: pre-wrap; }
div.output { overflow-x: auto; padding-left: 1em; margin-bottom: 1em; }
table { border-collapse: collapse; font-size: 13px; } td, th { padding: .15em .6em; }
"""
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def as_page(notebook: Any, title: str) -> str:
    """Return a notebook as a page that needs nothing from the network.

    Args:
        notebook: As nbformat reads it.
        title: The page's.
    """
    body = "\n".join(_cell(cell) for cell in notebook.cells)
    return (
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


def _cell(cell: Any) -> str:
    if cell.cell_type == "markdown":
        return _prose(cell.source)
    if cell.cell_type != "code":
        return _pre(cell.source)
    outputs = "".join(_output(output) for output in cell.outputs)
    return f"{_pre(cell.source, 'source')}<div class='output'>{outputs}</div>"


def _prose(source: str) -> str:
    parts: list[str] = []
    for block in re.split(r"\n\s*\n", source.strip()):
        marks = re.match(r"(#{1,6}) +(.*)", block)
        if marks is None:
            text = html.escape(block)
            text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
            text = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", text)
            text = re.sub(r"(?<!\*)\*([^*\n]+)\*", r"<i>\1</i>", text)
            parts.append(f"<p>{text}</p>")
            continue
        size = len(marks[1])
        parts.append(f"<h{size}>{html.escape(marks[2])}</h{size}>")
        parts.append(_prose(rest) if (rest := block[marks.end() :].strip()) else "")
    return f"<div>{''.join(parts)}</div>"


def _output(output: Any) -> str:
    if output.output_type == "stream":
        return _pre(output.text)
    if output.output_type == "error":
        return _pre("\n".join(output.traceback), "error")
    data: dict[str, Any] = output.data
    script = data.get("application/javascript")
    if script is not None:
        return f"{data.get('text/html', '')}<script>{script}</script>"
    for kind in ("text/html", "image/svg+xml"):
        if kind in data:
            return f"<div>{data[kind]}</div>"
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            return f"<img alt='' src='data:{kind};base64,{data[kind].strip()}'>"
    return _pre(data.get("text/plain", ""))


def _pre(text: str, kind: str = "") -> str:
    return f"<pre class='{kind}'>{html.escape(_ANSI.sub('', text))}</pre>"
