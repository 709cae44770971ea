"""The crash trial: a node at the local exchange, over sockets, is killed again and again.

Each life ends with SIGKILL at a seeded point, before and after writes, sends, acknowledgements and
reports, and while it reconciles; the market goes on meanwhile. After the last life the node's books
are the exchange's, to the last digit: no order is lost, none was sent twice, no fill is lost or
counted twice.

`python -m tests.trials.crash --seed 1 --lives 20`
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from workbench_exchange import LocalExchange, RandomMarket

from tests.trials.crash_life import POINTS

ROOT = Path(__file__).resolve().parent.parent.parent
MONEY = {"BTC": 100, "USDT": 10_000_000}
GUARD_S = 120.0
NTH = {"before a run begins": 1, "while reconciling": 1}
STATUS = {
    "NEW": "accepted",
    "PARTIALLY_FILLED": "partially_filled",
    "FILLED": "filled",
    "CANCELED": "canceled",
    "REJECTED": "rejected",
    "EXPIRED": "expired",
    "EXPIRED_IN_MATCH": "expired",
}


class Trial:
    """An exchange, and lives of a node that trades at it.

    Args:
        seed: Of the market, and of where lives end.
        folder: For the node's journal.
    """

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng = random.Random(seed)
        self.folder = folder
        self.died: Counter[str] = Counter()
        self.placed: Counter[str] = Counter()
        self.exchange = LocalExchange(
            ["BTC/USDT"], accounts={"a": MONEY}, market=RandomMarket(seed), is_paced=False
        )

    def __enter__(self) -> Trial:
        self.exchange.start()
        venue = self.exchange.venue
        place = venue.place

        def counted(owner: str, pair: Any, new: Any) -> Any:
            self.placed[new.client_id] += owner == "a"
            return place(owner, pair, new)

        venue.place = counted  # type: ignore[method-assign]
        self.exchange.advance(5)
        return self

    def __exit__(self, *_: object) -> None:
        self.exchange.stop()

    def live(
        self, given: dict[str, Any], *, moves: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Let a process live, and the market move meanwhile."""
        key = self.exchange.keys["a"]
        environ = os.environ | {
            "WORKBENCH_TRIAL_001_API_KEY": key.api_key,
            "WORKBENCH_TRIAL_001_API_SECRET": key.api_secret,
        }
        over = threading.Event()

        def move() -> None:
            while not over.wait(0.02):
                self.exchange.advance(1)

        mover = threading.Thread(target=move)
        if moves:
            mover.start()
        try:
            common = {"folder": str(self.folder), "url": self.exchange.addresses.rest}
            return subprocess.run(
                [sys.executable, "-m", "tests.trials.crash_life", json.dumps(common | given)],
                cwd=ROOT,
                env=environ,
                capture_output=True,
                text=True,
                timeout=GUARD_S,
                check=False,
            )
        finally:
            over.set()
            if moves:
                mover.join()

    def crash(self) -> None:
        """Live once, up to a seeded point."""
        point = self.rng.choice(list(POINTS))
        most = NTH.get(point, 400 if "record" in point else 15)
        given = {
            "seed": self.rng.randrange(10**6),
            "actions": 30,
            "point": point,
            "nth": self.rng.randint(1, most),
            "delay_s": self.rng.random() * 0.01,
        }
        done = self.live(given)
        if done.returncode == -9:
            self.died[point] += 1
        elif done.returncode:
            raise AssertionError(f"{given}: {done.returncode}\n{done.stdout}\n{done.stderr}")

    def differences(self) -> list[str]:
        """Live once more, without orders, and return what differs from the exchange."""
        done = self.live({"seed": 0, "actions": 0, "is_last": True}, moves=False)
        if done.returncode:
            return [f"the last life failed: {done.stdout}\n{done.stderr}"]
        books = json.loads(done.stdout.splitlines()[-1])
        venue = self.exchange.venue
        listing = venue.pairs["BTCUSDT"].listing
        found: list[str] = []
        there = {o.client_id: o for o in venue.orders_of.get(("a", "BTCUSDT"), [])}
        for name, order in there.items():
            status, filled = books["orders"].get(name, ["not known", "0"])
            expected = STATUS[order.status.value], listing.quantity(order.done)
            if (status, Decimal(filled)) != expected:
                found.append(f"{name}: {expected} at the exchange, {status}, {filled} here")
        for name, (status, filled) in books["orders"].items():
            is_sent = name in there or name in books["unknown"]
            if not is_sent and (status not in ("rejected", "denied") or Decimal(filled)):
                found.append(f"{name}: {status}, {filled} here, not at the exchange")
        fills = venue.fills.get(("a", "BTCUSDT"), [])
        if Counter(books["trades"]) != Counter(str(fill.number) for fill in fills):
            found.append(f"{books['fills']} fills here, {len(fills)} at the exchange")
        held = sum(((f.quantity if f.is_buyer else -f.quantity) for f in fills), Decimal(0))
        if Decimal(books["position"]) != held:
            found.append(f"position {books['position']} here, {held} at the exchange")
        for code, balance in venue.wallets["a"].balances.items():
            total = balance.free + balance.locked
            if Decimal(books["balances"].get(code, "0")) != total:
                found.append(f"{code}: {books['balances'].get(code)} here, {total} there")
        twice = [name for name, count in self.placed.items() if count > 1]
        return found + [f"{name} was sent twice" for name in twice]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lives", type=int, default=20)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Trial(given.seed, Path(folder)) as trial:
        for _ in range(given.lives):
            trial.crash()
        differences = trial.differences()
        for point, count in trial.died.items():
            print(f"{count:4} killed {point}")
        fills = len(trial.exchange.venue.fills.get(("a", "BTCUSDT"), []))
        print(
            f"{trial.died.total()} of {given.lives} lives killed, {len(trial.placed)} orders,"
            f" {fills} fills, {time.monotonic() - began:.0f} s"
            f"; differences: {differences or 'none'}"
        )
    sys.exit(bool(differences))


if __name__ == "__main__":
    main()
