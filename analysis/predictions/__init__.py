"""Tests of the comparison: one file per test, and what they share."""
