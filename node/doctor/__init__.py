"""``morphware doctor``: what could keep a node from working, found out before it does, with what to do about it."""
