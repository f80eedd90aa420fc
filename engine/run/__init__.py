"""A study as it is run: the way through the stages, rounds of refinement, tuning, comparisons, and how far it is."""
