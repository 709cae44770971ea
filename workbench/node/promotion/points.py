"""The points of the checklist, each looked at by a function of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from workbench.engines.clients import DataClient, ExecutionClient
from workbench.engines.risk import RiskLimits
from workbench.model.display import duration, shown
from workbench.model.enums import TradingState
from workbench.model.positions import Position
from workbench.node.circumstances import bare
from workbench.node.journal import Lease
from workbench.node.phases import NodePhase
from workbench.node.promotion.checklist import Check
from workbench.node.promotion.evidence import Evidence
from workbench.node.promotion.rules import PromotionRules
from workbench.node.required_limits import missing_limits
from workbench.node.synthetic import SyntheticDataClient
from workbench.sim import ReplayDataClient
from workbench.venues.connection import LinkState
from workbench.venues.contract import Permissions
from workbench.venues.data_client import VenueDataClient
from workbench.venues.execution_client import VenueExecutionClient


def confirmed(confirm: str, account_id: str) -> Check:
    """Look whether the account was named once more."""
    return Check(
        name="confirmed",
        passed=confirm == account_id,
        found=f"confirm={confirm!r}" if confirm else "not confirmed",
        wanted=f"confirm={account_id!r}",
    )


def running(phase: NodePhase, state: TradingState) -> Check:
    """Look whether the node runs, and trades."""
    return Check(
        name="node",
        passed=phase is NodePhase.RUNNING and state is TradingState.ACTIVE,
        found=f"{phase.value}, trading state {state.value}",
        wanted="a running node with trading state ACTIVE",
    )


def market_data(clients: Sequence[DataClient], stale: Sequence[str]) -> Check:
    """Look whether the strategy sees the market's own data, now."""
    bare_clients = [bare(client) for client in clients]
    made_up = [c for c in bare_clients if isinstance(c, (ReplayDataClient, SyntheticDataClient))]
    down = [
        f"{client.client_id} is {client.link.state.value}"
        for client in bare_clients
        if isinstance(client, VenueDataClient) and client.link.state is not LinkState.UP
    ]
    problems = [f"{client.client_id} is not the market" for client in made_up]
    problems += down
    problems += [f"{one} is stale" for one in stale]
    names = ", ".join(client.client_id for client in clients)
    return Check(
        name="data",
        passed=bool(clients) and not problems,
        found="; ".join(problems) or names or "none",
        wanted=(
            "a venue's live data, connected and fresh; a replay or a made-up market shows nothing"
            " of the real one"
        ),
    )


def evidence(found: Evidence, rules: PromotionRules) -> Iterator[Check]:
    """Look whether the sandbox has shown enough."""
    yield Check(
        name="duration",
        passed=found.duration_ns >= rules.min_duration_s * 1e9,
        found=f"{duration(found.duration_ns)} in the sandbox with this code",
        wanted=f"at least {duration(round(rules.min_duration_s * 1e9))}",
    )
    yield Check(
        name="orders",
        passed=found.orders >= rules.min_orders and found.fills >= rules.min_fills,
        found=f"{found.orders:,} orders, {found.fills:,} fills",
        wanted=f"at least {rules.min_orders:,} orders and {rules.min_fills:,} fills",
    )
    yield _drawdown(found, rules)
    yield Check(
        name="exceptions",
        passed=not found.exceptions,
        found="; ".join(found.exceptions) or "none",
        wanted="none",
    )
    yield Check(
        name="stalls",
        passed=found.longest_stall_ns <= rules.max_stall_s * 1e9,
        found=(
            f"{found.stalls:,}, the longest {duration(found.longest_stall_ns)}"
            if found.stalls
            else "none"
        ),
        wanted=f"none above {duration(round(rules.max_stall_s * 1e9))}",
    )


def _drawdown(found: Evidence, rules: PromotionRules) -> Check:
    most = rules.drawdown()
    told = ", ".join(f"{shown(amount)} {unit}" for unit, amount in found.drawdown.items())
    if most is None:
        return Check(name="drawdown", passed=True, found=told or "none")
    unit = most.currency.code
    others = [code for code, amount in found.drawdown.items() if amount and code != unit]
    return Check(
        name="drawdown",
        passed=not others and found.drawdown.get(unit, Decimal(0)) <= most.amount,
        found=told or "none",
        wanted=f"at most {most}, and profit in {unit} alone",
    )


def code(differences: Sequence[str], swapped: bool) -> Check:
    """Look whether the code is still that which ran in the sandbox."""
    return Check(
        name="code",
        passed=not differences,
        found="; ".join(differences) or "as it ran in the sandbox" + (", swapped in" * swapped),
        wanted="the code and parameters that the evidence is of",
    )


def limits(given: RiskLimits) -> Check:
    """Look whether the size of orders, positions and losses is limited."""
    missing = missing_limits(given)
    return Check(
        name="limits",
        passed=not missing,
        found=f"not set: {', '.join(missing)}" if missing else "set",
        wanted="limits=wb.RiskLimits(...) with these, when the node is made",
    )


def venue(client: VenueExecutionClient) -> Check:
    """Look whether the venue can be reached."""
    link = client.link
    is_up = link.state is LinkState.UP
    why = f": {link.reason}" if link.reason and not is_up else ""
    return Check(
        name="venue",
        passed=is_up,
        found=f"connection {link.state.value}{why}",
        wanted="a connection that is up",
    )


def clock_skew(client: VenueExecutionClient, rules: PromotionRules) -> Check:
    """Look how far the venue's clock is from ours."""
    most, skew = rules.max_clock_skew_s, client.link.skew_ns
    wanted = "" if most is None else f"at most {most:g} s: set this machine's clock by NTP"
    if skew is None:
        wanted = "a venue that tells its time, or PromotionRules(max_clock_skew_s=None)"
        return Check(name="clock", passed=most is None, found="not told", wanted=wanted)
    passed = most is None or abs(skew) <= most * 1e9
    return Check(name="clock", passed=passed, found=f"{duration(skew)} apart", wanted=wanted)


def credentials(found: Permissions | None, problem: str) -> Check:
    """Look whether the credentials are there, and permitted to trade."""
    may = None if found is None else found.may_trade
    told = "accepted; the venue does not say what they are permitted"
    if may is not None:
        told = "permitted to trade" if may else "not permitted to trade"
    if found is not None and found.may_withdraw:
        told += "; they could withdraw as well, which trading does not need"
    return Check(
        name="credentials",
        passed=not problem and may is not False,
        found=problem or told,
        wanted="credentials that the venue lets trade",
    )


def reconciled(client: VenueExecutionClient, problem: str) -> Check:
    """Look whether our books of the account are the venue's."""
    unknown = ", ".join(client.unknown_orders)
    found = problem or (f"unknown orders: {unknown}" if unknown else "as the venue has it")
    return Check(
        name="account",
        passed=not problem and not unknown,
        found=found,
        wanted="orders, fills and balances as the venue has them",
    )


def lease(held: Lease | None) -> Check:
    """Look whether no other node can trade the account."""
    may = held is not None and held.may_send
    found = "held" if may else str(held.lost or "not renewed in time") if held else "none"
    return Check(name="lease", passed=may, found=found, wanted="the account's lease")


def closable(
    positions: Sequence[Position], source: ExecutionClient, prices: Sequence[bool]
) -> Check:
    """Look whether the simulated position can be closed in the books."""
    unpriced = [p.instrument_id for p, known in zip(positions, prices, strict=True) if not known]
    held = ", ".join(f"{p.signed_quantity} {p.instrument_id}" for p in positions)
    return Check(
        name="position",
        passed=not unpriced,
        found=f"no price of {', '.join(unpriced)}" if unpriced else held or "flat",
        wanted=f"a price to close what {source.account_id} holds at",
    )
