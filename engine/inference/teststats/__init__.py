"""Test statistics: a file is a choice, and large values speak against background only.

Contract. Constants at the top: ADDITIVE (q follows from the number of events and sums over them), EXACT (its law is
known: True, False, or "idealised" where rates must be), AFFINE_INVARIANT and MONOTONE_INVARIANT (q keeps its ranking of
experiments under such maps of TS), MODEL_DEPENDENT (it looks at a signal model); and NEEDS, of "score" and "density"
(f0): what it is made from, so that a study recomputes no more than it must. LAW_VERSION (optional) is raised with the
arithmetic of its law: what rests on that law gets another name, its toys do not. Toys serve what is ADDITIVE, by its
sums, and what is neither ADDITIVE nor EXACT, by the events of each toy.

What a null holds is shared by all that is made of a pool: it is looked at and never changed.

`Options` (optional, derived from `engine.options.Options`) are its numbers. `prepare(null, options)` takes an
`engine.inference.hypothesis.Null` and gives an object that has, where ADDITIVE,
`columns(events) -> (n, k)`, summed over a toy's events, or `bins(events) -> (n,)` with `n_bins`, counted;
`q(n_events (t,), totals (t, k)) -> (t,)`;
where toys draw events for it, `columns(events) -> (n, k)`, what it looks at in each event, and
`of_toys(columns, event, ends (t,)) -> (t, m)`, what it makes of toys that hold the rows `event` of the columns, one toy
behind the other, each as far as its end and without a look at its neighbours: null blocks keep that in the place of
totals, and hand it to `q(n_events (t,), made (t, m)) -> (t,)`. A toy takes what a fit takes, with each signal anew;
optionally, where ADDITIVE, `widen(totals, expected (t, k), rng) -> totals`: carries the pool's finite size into null
toys, of which each was drawn with totals expected of its own, as its rates and its leakage moved them;
optionally `unwidened() -> law`: its null without that, where its law is known;
optionally `tails_without(q, group (n,), groups) -> (groups,)`: P(Q >= q) under background of a pool that lacks each of
so many groups in turn, or None where each needs a law of its own;
optionally `pool_limited`: whether too few pool events stand behind it;
optionally `sees_deficit`: whether q grows for fewer events than expected, too, so that rows say how much of p they are;
and, where its law is known, `distributions(signal) -> (null, alternative)`, two laws of q
(`engine.inference.exact`), for expected signal events (n,) of the drawn events, and `background`, the first of them,
unless it is MODEL_DEPENDENT.
"""

CONTRACT = ("ADDITIVE", "EXACT", "AFFINE_INVARIANT", "MONOTONE_INVARIANT", "MODEL_DEPENDENT", "NEEDS", "prepare")


def has_toys(statistic) -> bool:
    """Whether toys serve it, by sums over their events or by the events themselves."""
    return statistic.ADDITIVE or not statistic.EXACT


def has_law(statistic, rates: str) -> bool:
    """Whether the law of q is known where rates are "idealised" or "prior_predictive"."""
    return statistic.EXACT is True or statistic.EXACT == rates
