"""Data, risk and execution engines, portfolio, accounts, cache, and the client ports."""
