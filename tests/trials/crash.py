"""The crash trial: a node trades at the local exchange, over sockets, and one of them is killed.

Lives of a node follow one another, each a process of its own, on one journal; the exchange is a
process of its own too. Each life ends with SIGKILL at a seeded point, of the node (before and after
writes, sends, acknowledgements and reports, and while it reconciles) or of the exchange, which then
comes back on the same port and state while the node lives on. The market moves meanwhile.

After every restart, before the strategy may act, the node's books are compared with the exchange's,
to the last digit: no order is lost, none was sent twice, no fill is lost or counted twice, position
and balances are equal, and the journal says what the node knows.

`python -m tests.trials.crash --full`, or `--seed 3 --kills 10` for a part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from tests.trials import crash_exchange, crash_life

ROOT = Path(__file__).resolve().parent.parent.parent
GUARD_S = 300.0
KILLED = -9
WHOLE = 200
KILLS_EACH = 10
"""How many kills one exchange and one journal see; then the next seed begins with new ones."""


class TrialError(Exception):
    """A process did what it must not; the trial cannot go on."""


class ExchangeProcess:
    """The exchange, which may be killed and comes back as it was.

    Args:
        folder: For its state.
        seed: Of its market.

    Attributes:
        deaths: How often it was killed.
        url, key: Where clients connect, and what they show; the same after each death.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.deaths = 0
        self.url = ""
        self.key: list[str] = []
        self._folder = folder
        self._seed = seed
        self._port = 0
        self._moves = False
        self._process: subprocess.Popen[str]

    def begin(self) -> None:
        """Start it, and wait until it listens."""
        given = {"folder": str(self._folder), "seed": self._seed, "port": self._port}
        with (self._folder / "exchange.log").open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.trials.crash_exchange", json.dumps(given)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        told = self._answer()
        if told is None:
            raise TrialError((self._folder / "exchange.log").read_text())
        self.url, self._port, self.key = told["url"], told["port"], told["key"]

    def _answer(self) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else None

    def tell(self, **order: Any) -> dict[str, Any]:
        """Tell it something and return its answer; one that died meanwhile is begun anew first."""
        self._moves = order.get("moves", self._moves)
        while True:
            self.revive()
            with suppress(BrokenPipeError):
                assert self._process.stdin is not None
                self._process.stdin.write(json.dumps(order) + "\n")
                self._process.stdin.flush()
            answer = self._answer()
            if answer is not None:
                return answer
            self._process.wait()

    def revive(self) -> bool:
        """Begin it anew if it was killed, as it should be; return whether it was."""
        code = self._process.poll()
        if code is None:
            return False
        if code != KILLED:
            raise TrialError(
                f"the exchange ended with {code}:\n{(self._folder / 'exchange.log').read_text()}"
            )
        self._close()
        self.deaths += 1
        self.begin()
        if self._moves:
            self.tell(moves=True)
        return True

    def end(self) -> None:
        """Let it stop in order."""
        with suppress(BrokenPipeError):
            self._close()
        self._process.wait(GUARD_S)

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


class Life:
    """A process of the node.

    Args:
        given: What `crash_life` is told.
        environ: Its environment.
        log: Takes what it says besides.
    """

    def __init__(self, given: dict[str, Any], environ: dict[str, str], log: IO[str]) -> None:
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.trials.crash_life", json.dumps(given)],
            cwd=ROOT,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):  # it may die in the middle of one
                self.told.put(json.loads(line))

    @property
    def is_over(self) -> bool:
        """Return whether it ended, and all it said was taken."""
        return self._process.poll() is not None and not self._reader.is_alive()

    def end(self) -> int:
        """Return how it ended; one that did not is killed."""
        if self._process.poll() is None:
            self._process.kill()
        code = self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code


class Trial:
    """An exchange, and lives of a node that trades at it.

    Args:
        seed: Of the market, and of where lives end.
        folder: For what both remember.

    Attributes:
        died: How often which point was the end of the node or of the exchange.
        lives: How many lives there were.
        checks: How often the books were compared.
        differences: What was found to differ, and when.
        orders, fills: How many there are at the exchange.
    """

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng = random.Random(seed)
        self.died: Counter[str] = Counter()
        self.lives = self.checks = self.orders = self.fills = 0
        self.differences: list[str] = []
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._exchange = ExchangeProcess(folder, seed)

    @property
    def killed(self) -> int:
        """Return how many processes were killed."""
        return self.died.total()

    def __enter__(self) -> Trial:
        self._exchange.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._exchange.end()

    def crash(self) -> None:
        """Live once, up to a seeded point."""
        point = self.rng.choice([*crash_life.POINTS, *crash_exchange.POINTS])
        place = (crash_life.POINTS | crash_exchange.POINTS)[point]
        nth, delay_s = self.rng.randint(1, place.most), self.rng.random() * 0.01
        given: dict[str, Any] = {"seed": self.rng.randrange(10**6), "actions": 30, "lasts_s": 0}
        if point in crash_life.POINTS:
            given |= {"point": point, "nth": nth, "delay_s": delay_s}
            if self._live(given) == KILLED:
                self.died[point] += 1
            return
        before = self._exchange.deaths
        self._exchange.tell(point=point, nth=nth)
        self._live(given)
        self._exchange.tell(point=None)
        self.died[point] += self._exchange.deaths - before

    def finish(self) -> None:
        """Live once more, without orders, through two regular checks."""
        self._live({"seed": 0, "actions": 0, "lasts_s": 2.5})

    def _live(self, given: dict[str, Any]) -> int:
        """Let a process live, begin the exchange anew where that dies, and return how it ended."""
        exchange, log = self._exchange, self._folder / "life.log"
        self.lives += 1
        go = self._folder / f"go-{self.lives}"
        more = {"folder": str(self._folder), "url": exchange.url, "go": str(go)}
        environ = os.environ | {
            "WORKBENCH_TRIAL_001_API_KEY": exchange.key[0],
            "WORKBENCH_TRIAL_001_API_SECRET": exchange.key[1],
        }
        deaths, has_started = exchange.deaths, False
        with log.open("w") as file:
            life = Life(given | more, environ, file)
            try:
                for told in self._heard(life):
                    self._compare(told)
                    has_started = True
                    go.touch()
                    exchange.tell(moves=given["actions"] > 0)
            finally:
                code = life.end()
                exchange.tell(moves=False)
        # A node may fail to start while the exchange is dead; one that runs outlives that.
        may_fail = exchange.deaths > deaths and not has_started
        if code not in (0, KILLED) and not may_fail:
            raise TrialError(f"{given}: it ended with {code}\n{log.read_text()}")
        return code

    def _heard(self, life: Life) -> Iterator[dict[str, Any]]:
        """Yield what a life says, until it is over."""
        end_s = time.monotonic() + GUARD_S
        while True:
            self._exchange.revive()
            with suppress(queue.Empty):
                yield life.told.get(timeout=0.05)
                continue
            if life.is_over and life.told.empty():
                return
            if time.monotonic() > end_s:
                raise TrialError(
                    f"a life goes on and on: {(self._folder / 'life.log').read_text()}"
                )

    # Comparing

    def _compare(self, here: dict[str, Any]) -> None:
        self.checks += 1
        there = self._exchange.tell(books=True)
        found = list(self._differing(here, there))
        if found:
            killed = dict(self.died)
            self.differences.append(f"life {self.lives}, after {killed}: {'; '.join(found)}")

    def _differing(self, here: dict[str, Any], there: dict[str, Any]) -> Iterator[str]:
        self.orders, self.fills = len(there["orders"]), len(there["trades"])
        yield from here["unlike its journal"]
        yield from _orders_differing(here, there)
        lost = Counter(there["trades"]) - Counter(here["trades"])
        more = Counter(here["trades"]) - Counter(there["trades"])
        if lost or more:
            yield f"fills lost: {list(lost.elements())}, too many: {list(more.elements())}"
        if Decimal(here["position"]) != Decimal(there["position"]):
            yield f"position {here['position']} here, {there['position']} at the exchange"
        for code, total in there["balances"].items():
            if Decimal(here["balances"].get(code, "0")) != Decimal(total):
                yield f"{code}: {here['balances'].get(code)} here, {total} at the exchange"
        for name, count in Counter((self._folder / "placed").read_text().split()).items():
            if count > 1:
                yield f"{name} was sent {count} times"


def _orders_differing(here: dict[str, Any], there: dict[str, Any]) -> Iterator[str]:
    held = {name: (status, Decimal(filled)) for name, status, filled in there["orders"]}
    if len(held) < len(there["orders"]):
        yield "a client order id is there twice"
    for name, expected in held.items():
        status, filled = here["orders"].get(name, ["not known", "0"])
        if (status, Decimal(filled)) != expected:
            yield f"{name}: {expected} at the exchange, {status}, {filled} here"
    for name, (status, filled) in here["orders"].items():
        is_there = name in held or name in here["unknown"]
        if not is_there and (status not in ("rejected", "denied") or Decimal(filled)):
            yield f"{name}: {status}, {filled} here, not at the exchange"


@contextmanager
def _folder_of(seed: int, kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        yield kept / str(seed)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def run(seed: int, kills: int, folder: Path) -> Trial:
    """Kill so often, compare after every restart, and return the trial."""
    with Trial(seed, folder) as trial:
        while trial.killed < kills and not trial.differences and trial.lives < 3 * kills:
            trial.crash()
        trial.finish()
    return trial


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="only this one, in place of the first ones")
    parser.add_argument("--kills", type=int, default=WHOLE // 10, help="default: %(default)s")
    parser.add_argument("--full", action="store_true", help=f"{WHOLE} kills")
    parser.add_argument("--first", type=int, default=0, help="leave out the seeds before this one")
    parser.add_argument("--folder", type=Path, help="keep what they remember here")
    given = parser.parse_args()
    kills = WHOLE if given.full else given.kills
    seeds = range(given.first, kills // KILLS_EACH) if given.seed is None else [given.seed]
    each = KILLS_EACH if given.seed is None else kills
    began, died, differences = time.monotonic(), Counter[str](), list[str]()
    counts: Counter[str] = Counter()
    for seed in seeds:
        with _folder_of(seed, given.folder) as folder:
            trial = run(seed, each, folder)
        died += trial.died
        differences += [f"seed {seed}: {one}" for one in trial.differences]
        counts.update(
            {"lives": trial.lives, "checks": trial.checks, "orders": trial.orders},
            fills=trial.fills,
        )
        print(
            f"seed {seed}: {trial.killed} killed in {trial.lives} lives, {trial.checks} checks,"
            f" {trial.orders} orders, {trial.fills} fills; {trial.differences or 'no difference'}",
            flush=True,
        )
    for point, count in sorted(died.items()):
        print(f"{count:4} killed {point}")
    took_s = time.monotonic() - began
    told = ", ".join(f"{count} {what}" for what, count in counts.items())
    print(f"{died.total()} processes killed; {told}; {took_s:.0f} s")
    print(f"differences: {differences or 'none'}")
    sys.exit(bool(differences) or died.total() < each * len(seeds))


if __name__ == "__main__":
    main()
