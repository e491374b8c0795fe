"""Instruments that read a trained network: each with planted positives, planted nulls and baselines in its tests."""
