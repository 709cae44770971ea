"""The head of the dashboard: the lifecycle, what can be done, notices and the main figures."""

from __future__ import annotations

from typing import Any

from workbench.jupyter.dashboard.amounts import count, duration, money, rate
from workbench.node.snapshots import DestinationRow, KillReport, NodeSnapshot

ACTIONS = (
    ("build", "Build", "Make engines and clients: node.build()"),
    ("run", "Run", "Run it on the kernel's loop: node.run()"),
    ("stop", "Stop", "Stop it gracefully: node.request_stop()"),
    ("dispose", "Dispose", "Let go of everything: node.dispose()"),
    ("resume", "Resume", "Let orders through again: node.set_trading_state('active')"),
    ("kill", "KILL", "Halt trading at once and cancel every open order: node.kill()"),
)
"""The buttons: what they do, what stands on them, and what they are in Python."""

TABS = (("trading", "Trading"), ("orders", "Orders"), ("channels", "Channels"), ("log", "Log"))

_TRADING_TONES = {"ACTIVE": "plain", "REDUCING": "warn", "HALTED": "bad"}
# Long waits between two answers are normal at this length; a notice would flicker.
_NOTICED_NS = 700_000_000
_GOING = ("RUNNING", "STOPPING")
_NAMED = 2  # strategies in a badge; more are counted, and named when pointed at


def head(snapshot: NodeSnapshot) -> dict[str, Any]:
    """Return who it is, where it is in its lifecycle, what can be done, and the notices."""
    is_going = snapshot.state in _GOING
    trading = snapshot.trading_state.upper()
    allowed = [*snapshot.allowed]
    if snapshot.state not in ("CREATED", "STOPPED", "DISPOSED"):
        allowed.append("kill")
    can_resume = trading != "ACTIVE" and snapshot.state in ("BUILT", *_GOING)
    return {
        "trader": snapshot.trader_id,
        "ways": ways(snapshot),
        "where": _where(snapshot) if is_going else "",
        "state": snapshot.state,
        "phase": f"phase: {snapshot.phase}" if is_going else "",
        "allowed": [*allowed, "resume"] if can_resume else allowed,
        "hidden": [] if can_resume else ["resume"],
        "trading": f"trading: {trading.lower()}",
        "trading_tone": _TRADING_TONES.get(trading, "plain"),
        "notices": notices(snapshot),
    }


def ways(snapshot: NodeSnapshot) -> list[tuple[str, str, str]]:
    """Return where strategies' orders go, each as text, tone (`live`, `paper`) and whose.

    Those to accounts at real venues come first; a way on which nothing leaves says so, and so does
    an account at which something is left open though orders go elsewhere.
    """
    whose: dict[tuple[bool, str], list[str]] = {}
    helps: dict[tuple[bool, str], str] = {}
    for strategy in snapshot.strategies:
        for one in strategy.destinations:
            more = ", left open" if one.left else ", nothing leaves" if one.refusal else ""
            key = one.is_live, one.text + more
            names = whose.setdefault(key, [])
            names.append(strategy.component_id)
            helps[key] = _help(one, names, helps.get(key, ""))
    return [
        (
            f"{key[1]}: {_named(names)}" if len(whose) > 1 else key[1],
            "live" if key[0] else "paper",
            helps[key],
        )
        for key, names in sorted(whose.items(), reverse=True)
    ]


def _help(one: DestinationRow, names: list[str], before: str) -> str:
    """Return what a badge says when pointed at, of one more strategy than before."""
    if one.left:
        told = f"{names[-1]} has left open: {'; '.join(one.left)}"
        return f"{before}. {told}" if before else told
    return f"Orders of {', '.join(names)}" + (f": {one.refusal}" if one.refusal else "")


def _named(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= _NAMED else f"{len(names)} strategies"


def _where(snapshot: NodeSnapshot) -> str:
    loop = "on a thread of its own" if snapshot.has_thread else "on the kernel's loop"
    fills = "live orders" if snapshot.is_live else "simulated fills"
    return f"{loop}, {fills}" if snapshot.has_live_clock else f"{loop}, {fills}, simulated time"


def notices(snapshot: NodeSnapshot) -> list[tuple[str, str, str]]:
    """Return what must not be missed, each as name, tone and text."""
    found: list[tuple[str, str, str]] = []
    if snapshot.kill is not None and (snapshot.kill.halted or not snapshot.kill.is_settled):
        found.append(("kill", _kill_tone(snapshot.kill), snapshot.kill.text))
        found += [("kill-left", "bad", f"still open: {line}") for line in snapshot.kill.left]
    if snapshot.waiting_ns >= _NOTICED_NS and snapshot.state in _GOING:
        found.append(("stalled", "warn", _stalled(snapshot)))
    if snapshot.fault:
        found.append(("fault", "bad", f"Fault: {snapshot.fault}"))
    if snapshot.stale_instruments:
        names = ", ".join(snapshot.stale_instruments)
        text = f"No fresh price since the last stall: {names}. Orders priced from it are denied."
        found.append(("stale", "warn", text))
    if snapshot.missing_prices:
        names = ", ".join(snapshot.missing_prices)
        found.append(("unpriced", "warn", f"Profit leaves out {names}: no price is known."))
    found += [("left-open", "warn", f"Left open: {line}") for line in snapshot.left_open]
    failures = snapshot.disconnect_failures
    found += [("disconnect", "warn", f"Not disconnected: {line}") for line in failures]
    return found


def _kill_tone(report: KillReport) -> str:
    if report.not_cancelled or report.left:
        return "bad"
    return "warn" if report.queued or not report.is_settled else "good"


def _stalled(snapshot: NodeSnapshot) -> str:
    reason = "a callback keeps it" if snapshot.has_thread else "a cell is running"
    return (
        f"The loop has not answered for {duration(snapshot.waiting_ns)}: {reason}. What comes in"
        " meanwhile waits in the channels; tables are of before."
    )


def tiles(snapshot: NodeSnapshot, per_second: float) -> list[tuple[str, str, str, str]]:
    """Return the main figures, each as name, label, value and tone."""
    waiting = sum(one.depth for one in snapshot.channels)
    oldest = max((one.oldest_age_ns or 0 for one in snapshot.channels), default=0)
    hops = [one.hop_p99_ns for one in snapshot.channels if one.hop_p99_ns is not None]
    counts = snapshot.counts
    profit, tone = _profit(snapshot)
    return [
        ("profit", "Profit", profit, tone),
        ("positions", "Open positions", count(counts.positions_open), ""),
        ("orders", "Open orders", count(counts.orders_open), ""),
        ("fills", "Fills", count(counts.fills), ""),
        ("messages", "Messages /s", rate(per_second if snapshot.state in _GOING else 0.0), ""),
        ("waiting", "Waiting", count(waiting), "warn" if oldest > 1_000_000_000 else ""),
        ("hop", "Hop p99", duration(max(hops, default=None)), ""),
    ]


def _profit(snapshot: NodeSnapshot) -> tuple[str, str]:
    if not snapshot.profit:
        return "–", ""
    first, *others = snapshot.profit
    more = f" +{len(others)}" if others else ""
    tone = "up" if first.total > 0 else "down" if first.total < 0 else ""
    return f"{money(first.total)} {first.currency}{more}", tone


def badges(snapshot: NodeSnapshot) -> dict[str, tuple[str, str]]:
    """Return what stands beside the name of each tab, as text and tone."""
    counts = snapshot.counts
    drops = sum(one.drops for one in snapshot.channels)
    stalls = snapshot.stall_count
    found: dict[str, tuple[str, str]] = {}
    if counts.orders_open:
        found["orders"] = (f"{counts.orders_open} open", "")
    if drops:
        found["channels"] = (f"{drops} dropped", "bad")
    elif stalls:
        found["channels"] = (f"{stalls} stall{'' if stalls == 1 else 's'}", "warn")
    if snapshot.exceptions:
        found["log"] = (f"{len(snapshot.exceptions)} failed", "bad")
    return found
