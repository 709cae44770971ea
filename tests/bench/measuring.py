"""What the bench scripts share: a JSON line per run, medians and ratios over interleaved rounds."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def report(**figures: Any) -> None:
    """Print one run's figures, with the process's peak memory, as a JSON line."""
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**figures, "peak_mb": round(peak_mb, 1)}), flush=True)


def run_once(command: Sequence[str]) -> dict[str, Any]:
    """Run a command in a process of its own and return its last JSON line."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    raise SystemExit(f"{' '.join(command)} gave no figures:\n{done.stdout}\n{done.stderr}")


def interleaved(
    commands: Mapping[str, Sequence[str]], rounds: int
) -> dict[str, list[dict[str, Any]]]:
    """Run every command once a round, in turn, so that a drifting machine is fair to all."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
    for number in range(rounds):
        for name, command in commands.items():
            runs[name].append(run_once(command))
            print(f"round {number + 1}: {name} {runs[name][-1]}", file=sys.stderr, flush=True)
    return runs


def median(rows: Iterable[Mapping[str, Any]], key: str) -> float:
    """Return the median of one figure."""
    return statistics.median(row[key] for row in rows)


def ratio(
    above: Sequence[Mapping[str, Any]], below: Sequence[Mapping[str, Any]], key: str
) -> float:
    """Return the median of the rounds' own ratios."""
    pairs = zip(above, below, strict=True)
    return statistics.median(a[key] / b[key] for a, b in pairs)
