"""The shell around the protocol: one trio program that plays end user, worker or validator."""
