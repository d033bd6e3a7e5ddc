"""One account on one market: the only place that knows JSON-RPC and web3."""
