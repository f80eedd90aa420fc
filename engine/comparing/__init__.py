"""Pairs of models on the same events and the same pseudo-experiments, ranked."""
