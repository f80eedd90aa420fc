"""Test statistics: a file is a choice, and large values speak against background only.

Contract: constants (ADDITIVE: q follows from the number of events and one sum over them;
AFFINE_INVARIANT and MONOTONE_INVARIANT: q keeps its ranking of toys under such maps of TS;
MODEL_DEPENDENT: it looks at a signal model), DEPENDS_ON: the study's numbers that it uses, and
`per_event(ts, null) -> (n,)`: the quantity summed over a toy's events;
`statistic(n_events, total, null) -> q`, both arrays of one entry per toy;
optionally `widen(total, null, rng) -> total`: carries the pool's finite size into null toys.
`null` is an `engine.inference.cells.Null`.
"""
