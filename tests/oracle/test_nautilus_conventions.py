"""Where we and NautilusTrader differ on purpose: each convention with what happens on both sides.

Their names are the first column of the table in CONVENTIONS.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip(
    "nautilus_trader", reason="NautilusTrader is not installed; it is in the extra `oracle`"
)

from tests.oracle import nautilus, ours
from tests.oracle import random_scenarios as draw
from tests.oracle.comparing import differences
from tests.oracle.scenario import (
    Bar,
    Cancel,
    Modify,
    Outcome,
    Quote,
    Scenario,
    Submit,
    SubmitList,
    Ticket,
)

pytestmark = pytest.mark.oracle

TABLE = Path(__file__).with_name("CONVENTIONS.md")


class Convention(NamedTuple):
    """What happens here and there, as `told` tells it.

    Attributes:
        scenario: What is done.
        here: Fills and last states here.
        there: The same there.
        theirs: What is done there, where it must be said in another way.
    """

    scenario: Scenario
    here: str
    there: str
    theirs: Scenario | None = None


def told(outcome: Outcome) -> str:
    """Return `ROW ORDER QUANTITY@PRICE` for each fill, then each order's last state."""
    fills = [f"{fill.row} {fill.name} {fill.quantity}@{fill.price}" for fill in outcome.fills]
    states = [f"{name} {state}" for name, (state, _) in sorted(outcome.orders.items())]
    refused = [f"{name} invalid" for name in sorted(outcome.reasons) if name not in outcome.orders]
    return ", ".join([*fills, *states, *refused])


def on(*rows: Quote | Bar, do: tuple[object, ...], **more: object) -> Scenario:
    return Scenario(rows, do, **{**draw.FEES, **more})  # type: ignore[arg-type]


def buy(kind: str = "market", quantity: int = 10, **more: object) -> Ticket:
    return Ticket("a", kind, "buy", quantity, **more)  # type: ignore[arg-type]


def sell(name: str, kind: str, quantity: int, **more: object) -> Ticket:
    return Ticket(name, kind, "sell", quantity, **more)  # type: ignore[arg-type]


def bracket(entry: Ticket, stop: int = 9_990, limit: int = 10_020) -> tuple[Ticket, ...]:
    size = entry.quantity
    return (
        entry,
        sell("s", "stop_market", size, trigger=stop, reduce_only=True),
        sell("t", "limit", size, price=limit, reduce_only=True),
    )


STILL = Quote(10_000, 10_003)
RISEN, FALLEN = Quote(10_020, 10_022), Quote(9_990, 9_992)
TOUCHED = Quote(9_998, 10_000, 50, 4)
BAR = Bar(10_000, 10_010, 9_990, 10_000)
LOW = buy("limit", price=10_000)
HIGH = Ticket("b", "stop_market", "buy", 10, trigger=10_010)
TRAILING_LIMIT = sell(
    "a", "trailing_stop_limit", 5, offset=5, limit_offset=2, trigger_type="bid_ask"
)
DAYLONG = 20_000  # seconds from row to row: the third is on the next day

CONVENTIONS: dict[str, Convention] = {
    # Sizes shown
    "a limit the market goes through": Convention(
        on(STILL, Quote(9_990, 9_995, 5, 5), STILL, do=(Submit(0, LOW),)),
        "1 a 10@10000, a filled",
        "1 a 5@10000, a partially_filled",
    ),
    "a limit that takes beyond the size shown": Convention(
        on(Quote(10_000, 10_003, 5, 5), STILL, do=(Submit(0, buy("limit", price=10_005)),)),
        "0 a 5@10003, 0 a 5@10004, a filled",
        "0 a 5@10003, 1 a 5@10005, a filled",
    ),
    "an equal price and size once more": Convention(
        on(
            *[Quote(10_000, 10_003, 5, 5)] * 3,
            do=(Submit(0, buy(quantity=5)), Submit(1, Ticket("b", "market", "buy", 5))),
        ),
        "0 a 5@10003, 1 b 5@10003, a filled, b filled",
        "0 a 5@10003, a filled, b rejected",
    ),
    "a larger quantity loses its place": Convention(
        on(
            STILL,
            STILL,
            Quote(9_990, 10_000, 5, 5),
            STILL,
            do=(
                Submit(0, LOW._replace(quantity=5)),
                Submit(0, LOW._replace(quantity=5, name="b")),
                Modify(1, "a", quantity=7),
            ),
        ),
        "2 b 5@10000, a accepted, b filled",
        "2 a 5@10000, a partially_filled, b accepted",
    ),
    # Triggers
    "a triggered limit that has to wait": Convention(
        on(
            STILL,
            Quote(10_008, 10_012),
            Quote(10_000, 10_005),
            do=(Submit(0, buy("stop_limit", price=10_009, trigger=10_009)),),
        ),
        "2 a 10@10009, a filled",
        "2 a 10@10005, a filled",
    ),
    "a limit if touched short of its trigger": Convention(
        on(
            STILL,
            Quote(9_992, 9_995),
            Quote(9_987, 9_990),
            do=(Submit(0, buy("limit_if_touched", price=9_990, trigger=9_995)),),
        ),
        "2 a 10@9990, a filled",
        "a invalid",
    ),
    "where a trailing limit is": Convention(
        # Trigger at 9,995; here the limit is 2 below it, there 2 below the bid.
        on(STILL, Quote(9_993, 9_996), do=(Submit(0, TRAILING_LIMIT),)),
        "1 a 5@9993, a filled",
        "a triggered",
        # The runner adds the trailing offset of 5 to what it is given.
        on(STILL, Quote(9_993, 9_996), do=(Submit(0, TRAILING_LIMIT._replace(limit_offset=-3)),)),
    ),
    "a trigger moved to where it is reached": Convention(
        on(
            STILL,
            STILL,
            STILL,
            do=(
                Submit(0, buy("stop_market", trigger=10_010)),
                Modify(1, "a", trigger=10_002),
            ),
        ),
        "1 a 10@10003, a filled",
        "a accepted",
    ),
    "a trailing stop where there are only bars": Convention(
        on(
            BAR,
            BAR,
            do=(Submit(0, sell("a", "trailing_stop_market", 5, offset=6, trigger_type="bid_ask")),),
        ),
        "1 a 5@10004, a filled",
        "a denied",
    ),
    "a trailing stop beside a limit that fills": Convention(
        on(
            STILL,
            Quote(10_050, 10_053),
            Quote(10_040, 10_043),
            STILL,
            do=(
                Submit(0, sell("a", "trailing_stop_market", 5, offset=3, trigger_type="bid_ask")),
                Submit(0, sell("b", "limit", 5, price=10_010)),
            ),
        ),
        "1 b 5@10010, 2 a 5@10040, a filled, b filled",
        "1 b 5@10010, 3 a 5@10000, a filled, b filled",
    ),
    "a touch beside a limit that fills": Convention(
        on(
            STILL,
            Quote(10_008, 10_012),
            Quote(9_993, 9_994),
            STILL,
            do=(
                Submit(0, buy("stop_limit", price=9_997, trigger=10_009)),
                Submit(1, Ticket("b", "limit_if_touched", "buy", 10, 9_996, 9_996)),
            ),
        ),
        "2 b 10@9994, 2 a 10@9997, a filled, b filled",
        "2 a 10@9997, a filled, b triggered",
    ),
    # One quote, one bar
    "who is first within one quote": Convention(
        on(
            STILL,
            FALLEN,
            do=(
                Submit(0, buy("limit", price=9_995)),
                Submit(0, sell("b", "stop_market", 10, trigger=9_994)),
            ),
        ),
        "1 b 10@9990, 1 a 10@9995, a filled, b filled",
        "1 a 10@9995, 1 b 10@9990, a filled, b filled",
    ),
    "a stop limit within a bar": Convention(
        on(BAR, BAR, do=(Submit(0, buy("stop_limit", price=10_006, trigger=10_004)),)),
        "1 a 10@10004, a filled",
        "1 a 10@9990, a filled",
    ),
    "a limit if touched within a bar": Convention(
        on(BAR, BAR, do=(Submit(0, buy("limit_if_touched", price=9_996, trigger=9_995)),)),
        "1 a 10@9995, a filled",
        "1 a 10@9990, a filled",
    ),
    "an exit within the bar of its entry": Convention(
        on(
            BAR,
            BAR,
            do=(
                SubmitList(
                    0, "bracket", bracket(buy("stop_market", trigger=10_004), 9_980, 10_008)
                ),
            ),
        ),
        "1 a 10@10004, 1 t 10@10008, a filled, s canceled, t filled",
        "1 a 10@10004, 1 t 10@10010, a filled, s canceled, t filled",
    ),
    "a low as near to the open as the high": Convention(
        on(
            BAR,
            BAR,
            do=(
                Submit(0, buy("stop_market", trigger=10_004)),
                Submit(0, sell("b", "stop_market", 10, trigger=9_996)),
            ),
            adaptive=True,
        ),
        "1 a 10@10004, 1 b 10@9996, a filled, b filled",
        "1 b 10@9996, 1 a 10@10004, a filled, b filled",
    ),
    "a volume that is no multiple of four": Convention(
        on(BAR._replace(volume=43), BAR, do=(Submit(0, buy(quantity=16)),)),
        "0 a 10@10000, 0 a 6@10001, a filled",
        "0 a 13@10000, 0 a 3@10001, a filled",
    ),
    "a close at which a limit filled": Convention(
        on(
            BAR,
            BAR._replace(close=9_995),
            do=(
                Submit(0, buy("limit", price=9_995)),
                Submit(0, Ticket("b", "limit", "buy", 10, price=9_992)),
                Submit(1, Ticket("c", "market", "buy", 10)),
            ),
        ),
        "1 a 10@9995, 1 b 10@9992, 1 c 10@9995, a filled, b filled, c filled",
        "1 a 10@9995, 1 b 10@9992, 1 c 10@9990, a filled, b filled, c filled",
    ),
    # Times in force, latency
    "when an order expires": Convention(
        on(
            STILL,
            STILL,
            FALLEN,
            do=(Submit(0, buy("limit", price=9_995, force="gtd", expires=1)),),
            peer_expires_with_row=False,
        ),
        "a expired",
        "2 a 10@9995, a filled",
    ),
    "a market order with an expiry": Convention(
        on(STILL, STILL, do=(Submit(0, buy(force="gtd", expires=1)),)),
        "0 a 10@10003, a filled",
        "a invalid",
    ),
    "day": Convention(
        on(STILL, STILL, STILL, do=(Submit(0, LOW._replace(force="day")),), step_s=DAYLONG),
        "a expired",
        "a accepted",
    ),
    "at the open and at the close": Convention(
        on(
            *[STILL] * 4,
            do=(
                Submit(0, buy(force="at_the_open")),
                Submit(0, sell("b", "market", 10, force="at_the_close")),
            ),
            step_s=DAYLONG,
        ),
        "1 b 10@10000, 2 a 10@10003, a filled, b filled",
        "a rejected, b rejected",
    ),
    "commands that arrive between two quotes": Convention(
        on(STILL, RISEN, RISEN, do=(Submit(0, buy()),), latency_ns=500_000_000),
        "0 a 10@10003, a filled",
        "1 a 10@10022, a filled",
    ),
    # Reduce-only
    "reduce-only for more than the position": Convention(
        on(
            STILL,
            STILL,
            do=(
                Submit(0, buy(quantity=4)),
                Submit(1, sell("b", "market", 6, reduce_only=True)),
            ),
        ),
        "0 a 4@10003, a filled, b denied",
        "0 a 4@10003, 1 b 4@10000, a filled, b filled",
    ),
    "who refuses what would enlarge a position": Convention(
        on(STILL, STILL, do=(Submit(0, buy(reduce_only=True)),)),
        "a denied",
        "a rejected",
    ),
    "reduce-only of which less is left": Convention(
        on(
            STILL,
            STILL,
            STILL,
            RISEN,
            do=(
                Submit(0, buy()),
                Submit(1, sell("b", "limit", 10, price=10_020, reduce_only=True)),
                Submit(2, sell("c", "market", 3)),
            ),
        ),
        "0 a 10@10003, 2 c 3@10000, 3 b 7@10020, a filled, b canceled, c filled",
        "0 a 10@10003, 2 c 3@10000, 3 b 7@10020, a filled, b filled, c filled",
    ),
    "reduce-only for less than the position": Convention(
        on(
            STILL,
            STILL,
            STILL,
            RISEN,
            do=(
                Submit(0, buy()),
                Submit(1, sell("b", "limit", 5, price=10_020, reduce_only=True)),
                Submit(2, sell("c", "market", 3)),
            ),
        ),
        "0 a 10@10003, 2 c 3@10000, 3 b 5@10020, a filled, b filled, c filled",
        "0 a 10@10003, 2 c 3@10000, 3 b 7@10020, a filled, b filled, c filled",
    ),
    # Linked orders
    "what a waiting child is called": Convention(
        on(STILL, STILL, do=(SubmitList(0, "oto", (LOW, HIGH)),)),
        "a accepted, b accepted",
        "a accepted, b submitted",
    ),
    "a sibling is cancelled": Convention(
        on(
            STILL,
            STILL,
            STILL,
            Quote(10_012, 10_014),
            do=(SubmitList(0, "oco", (LOW, HIGH)), Cancel(1, "a")),
        ),
        "3 b 10@10014, a canceled, b filled",
        "a canceled, b canceled",
    ),
    "a sibling expires": Convention(
        on(
            STILL,
            STILL,
            STILL,
            STILL,
            Quote(10_012, 10_014),
            do=(SubmitList(0, "ouo", (LOW._replace(force="gtd", expires=1), HIGH)),),
        ),
        "4 b 10@10014, a expired, b filled",
        "a expired, b canceled",
    ),
    "a sibling is rejected": Convention(
        on(
            STILL,
            STILL,
            Quote(10_012, 10_014),
            do=(SubmitList(0, "oco", (LOW._replace(price=10_003, post_only=True), HIGH)),),
        ),
        "2 b 10@10014, a rejected, b filled",
        "a rejected, b rejected",
    ),
    "the take-profit is cancelled": Convention(
        on(
            STILL,
            STILL,
            STILL,
            FALLEN,
            do=(SubmitList(0, "bracket", bracket(buy())), Cancel(1, "t")),
        ),
        "0 a 10@10003, 3 s 10@9990, a filled, s filled, t canceled",
        "0 a 10@10003, a filled, s canceled, t canceled",
    ),
    "an entry filled in part is cancelled": Convention(
        on(
            STILL,
            TOUCHED,
            STILL,
            FALLEN,
            do=(SubmitList(0, "bracket", bracket(LOW)), Cancel(2, "a")),
        ),
        "1 a 4@10000, 3 s 4@9990, a canceled, s filled, t canceled",
        "1 a 4@10000, a canceled, s canceled, t canceled",
    ),
    "exits close an entry filled in part": Convention(
        on(
            STILL,
            TOUCHED,
            RISEN,
            Quote(9_995, 9_998),
            do=(SubmitList(0, "bracket", bracket(LOW)),),
        ),
        "1 a 4@10000, 2 t 4@10020, a canceled, s canceled, t filled",
        "1 a 4@10000, 2 t 4@10020, 3 a 6@10000, a filled, s canceled, t filled",
    ),
    "a child that does not only reduce": Convention(
        on(
            STILL,
            TOUCHED,
            Quote(10_012, 10_014),
            do=(SubmitList(0, "oto", (LOW, HIGH)),),
        ),
        "1 a 4@10000, a partially_filled, b accepted",
        "1 a 4@10000, 2 b 10@10014, a partially_filled, b filled",
    ),
    "a stop-loss that is reached at once": Convention(
        on(
            STILL,
            Quote(9_985, 9_990),
            do=(SubmitList(0, "bracket", bracket(buy("limit", price=9_995))),),
        ),
        "1 a 10@9995, 1 s 10@9985, a filled, s filled, t canceled",
        "1 a 10@9995, 1 s 10@9985, a filled, s filled, t rejected",
    ),
    # Names of states
    "a market-to-limit order of which a part is left": Convention(
        on(
            Quote(10_000, 10_003, 5, 5),
            Quote(10_003, 10_006),
            do=(Submit(0, buy("market_to_limit")),),
        ),
        "0 a 5@10003, a partially_filled",
        "0 a 5@10003, a accepted",
    ),
}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_convention_is_as_the_table_says(name: str) -> None:
    convention = CONVENTIONS[name]
    here = ours.run(convention.scenario)
    there = nautilus.run(convention.theirs or convention.scenario)
    assert (told(here), told(there)) == (convention.here, convention.there)


def test_every_convention_is_in_the_table_and_tested() -> None:
    lines = TABLE.read_text().partition("## NautilusTrader")[2].partition("\n## ")[0].splitlines()
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("| ")][1:]
    assert rows == list(CONVENTIONS)


def test_a_difference_is_told() -> None:
    convention = CONVENTIONS["a limit the market goes through"]
    here, there = ours.run(convention.scenario), nautilus.run(convention.scenario)
    assert differences(here, here) == []
    assert len(differences(here, there)) == 6  # two fills, a state, the positions, both profits
