"""What runs inside the sandbox before and around a job: the standard library only, and nothing of the node."""
