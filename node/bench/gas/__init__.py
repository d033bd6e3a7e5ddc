"""What the market costs in gas, on a real chain, beside two other ways to do its auction."""
