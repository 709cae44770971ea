"""Publishes a second: `python tests/bench/bench_bus.py [--rounds 5] [--peer nautilus=PYTHON]`.

`hot`: the same topic again and again; `cold`: a new topic each time; `fan`: the same topic, which
all patterns match. With 1, 100 and 10,000 subscriptions; but for `fan` one of them matches. Each
run is a process of its own, and the rounds are interleaved.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import interleaved, median, report

SUBSCRIPTIONS = (1, 100, 10_000)
MODES = ("hot", "cold", "fan")
ENGINES = ("workbench", "nautilus")
TOPIC = "events.order.Strategy-00000.filled"


def make_bus(engine: str) -> Any:
    """Return a new bus of an engine."""
    if engine == "workbench":
        from workbench.runtime import MessageBus

        return MessageBus()
    import nautilus_trader.common as common
    from nautilus_trader.model import TraderId

    return common.MessageBus(TraderId("T-001"))


def handler_of(heard: list[int]) -> Callable[[Any], None]:
    """Return a handler of its own that counts."""

    def handle(_: Any) -> None:
        heard[0] += 1

    return handle


def run(engine: str, mode: str, subscriptions: int) -> None:
    """Publish and report the figures."""
    bus, heard = make_bus(engine), [0]
    for number in range(subscriptions):
        strategy = 0 if mode == "fan" else number
        bus.subscribe(f"events.order.Strategy-{strategy:05}.*", handler_of(heard))
    count = {"hot": 300_000, "cold": 2_000, "fan": max(20, 300_000 // subscriptions)}[mode]
    topics = [f"events.order.Strategy-00000.{n}" for n in range(count)]
    if mode != "cold":
        topics = [TOPIC] * count
        bus.publish(TOPIC, 1)
    heard[0] = 0
    publish = bus.publish
    began = time.perf_counter()
    for topic in topics:
        publish(topic, 1)
    seconds = time.perf_counter() - began
    expected = count * (subscriptions if mode == "fan" else 1)
    assert heard[0] == expected, (heard, expected)
    report(publishes=count, seconds=seconds)


def main() -> None:
    """Run one, or compare all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3, metavar=("ENGINE", "MODE", "SUBSCRIPTIONS"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    arguments = parser.parse_args()
    if arguments.one:
        engine, mode, subscriptions = arguments.one
        run(engine, mode, int(subscriptions))
        return
    pythons = {"workbench": sys.executable, **dict(one.split("=", 1) for one in arguments.peer)}
    commands = {
        f"{mode} {subscriptions} {engine}": [
            python,
            str(Path(__file__).resolve()),
            *("--one", engine, mode, str(subscriptions)),
        ]
        for mode in MODES
        for subscriptions in SUBSCRIPTIONS
        for engine, python in pythons.items()
    }
    runs = interleaved(commands, arguments.rounds)
    heads = " | ".join(f"{one}, publishes/s" for one in pythons)
    print(f"\n| topics | subscriptions | {heads} |")
    print("|---|---:|" + "---:|" * len(pythons))
    for mode in MODES:
        for subscriptions in SUBSCRIPTIONS:
            rates: list[str] = []
            for engine in pythons:
                rows = runs[f"{mode} {subscriptions} {engine}"]
                rates.append(f"{rows[0]['publishes'] / median(rows, 'seconds'):,.0f}")
            print(f"| {mode} | {subscriptions:,} | " + " | ".join(rates) + " |")


if __name__ == "__main__":
    main()
