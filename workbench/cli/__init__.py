"""The command `workbench`: demonstration, backtests, a standalone node, a check-up."""

from workbench.cli.program import main

__all__ = ["main"]
