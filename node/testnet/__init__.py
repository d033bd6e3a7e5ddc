"""A local market of many node processes."""
