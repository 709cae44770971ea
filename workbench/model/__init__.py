"""Values: identifiers, money, instruments, market data, orders and their events, positions."""
