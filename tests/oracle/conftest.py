"""The runners of peers are no tests, and cannot be imported where their peer is missing."""

collect_ignore = ["nautilus.py", "backtesting_py.py"]
