"""What completes `%node`."""

from __future__ import annotations

import pytest

from workbench.jupyter.completing import candidates

WORDS = ["build", "run", "status", "stop", "dispose"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("%node ", WORDS),
        ("    %node ", WORDS),
        ("%node  s", ["status", "stop"]),
        ("%node x", []),
        ("%node stop ", ["left", "right"]),
        ("%node stop  l", ["left"]),
        ("%node stop left ", []),
        ("%node", []),
        ("%nodes ", []),
        ("x = 1", []),
        ("", []),
    ],
)
def test_words_come_first_and_then_names(line: str, found: list[str]) -> None:
    assert candidates(line, ["left", "right"]) == found
