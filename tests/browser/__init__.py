"""The page of a live market, in a real browser. A package, so that its market ends with it."""
