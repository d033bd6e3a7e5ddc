"""Measurements of the running program, one package each; they assert nothing, they count."""
