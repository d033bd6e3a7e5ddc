"""The rules of the market: pure functions and machines, without I/O, clock, chance or logging."""
