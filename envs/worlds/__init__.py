"""Worlds: one family a file, each five numba functions and a `world(config)`."""
