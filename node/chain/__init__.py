"""The chain adapter: JSON-RPC on httpx, a transaction sender, a block follower, the market behind the Chain port."""
