"""Instruments on a trained agent: what they are given, which there are, and how they are run and reported."""
