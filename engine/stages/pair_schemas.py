"""Tables of a comparison: pairs of networks beside each other, every column with its unit and meaning."""

import pyarrow as pa

from engine.schemas import column

PAIRED = pa.schema([
    column("toy", pa.int64(), "", "number of the toy with signal: the same events for every pair of models"),
    column("q", pa.float64(), "", "the statistic of this toy"),
    column("z", pa.float64(), "sigma", "one-sided significance of its p, ties counted half"),
    column("bound", pa.bool_(), "", "z is a lower bound: the law of background ends there"),
])  # fmt: skip

_RANKED = [
    column("rank", pa.int64(), "", "place by z_mean, else by z, the largest first; of equal bounds by t3_ty"),
    column("pair", pa.string(), "", "name of the member: the names of its models by role, joined by -"),
]

_BY = [
    column("statistic", pa.string(), "", "what pairs are ranked by: no monotone map of TS moves it"),
    column("R", pa.float64(), "", "weight in the score, 0 where it has none"),
    column("exposure_ty", pa.float64(), "t y", "exposure at which they are ranked"),
]

_WORTH = [
    column("z", pa.float64(), "sigma", "one-sided Z of the median at the benchmark, from the exact law"),
    column("z_tail", pa.string(), "", "exact, or bound: z is at least this"),
    column("z_pool_error", pa.float64(), "sigma", "jack-knife error of z from the finite pool", True),
    column("z_seed_error", pa.float64(), "sigma", "sd of z over training seeds; null without any further", True),
    column("z_mean", pa.float64(), "sigma", "mean of z over training seeds; null without any further", True),
    column("z_mean_error", pa.float64(), "sigma", "its error from their number: their sd over its root", True),
    column("pool_limited", pa.bool_(), "", "too few pool events behind the statistic"),
    column("t3_status", pa.string(), "", "of the exposure for three sigma: see stages.reach_schemas", True),
    column("t3_ty", pa.float64(), "t y", "exposure for three sigma at the benchmark's mass", True),
    column("t3_error_ty", pa.float64(), "t y", "jack-knife error of t3_ty from the finite pool", True),
    column("t3_seed_error_ty", pa.float64(), "t y", "sd of t3_ty over training seeds", True),
    column("n_seeds", pa.int64(), "", "fits behind the seed errors; every other column is of the first"),
    column("auc", pa.float64(), "", "of the classifier, test events of both kinds, uniform in energy", True),
    column("accuracy", pa.float64(), "", "the same, at p = 1/2", True),
    column("er_leakage_30", pa.float64(), "", "share of test ER above the cut that 30 % of test NR pass", True),
    column("er_leakage_50", pa.float64(), "", "share of test ER above the cut that 50 % of test NR pass", True),
    column("n_test_er", pa.int64(), "events", "test ER behind the leakages", True),
]


def comparison(roles: tuple[str, ...]) -> pa.Schema:
    """All members ranked, with what the model in each role of the score is."""
    of_roles = [field for role in roles for field in _of_role(role)]
    lineage = column("lineage", pa.string(), "", "digest of the pair's table")
    return pa.schema([*_RANKED, *of_roles, *_BY, *_WORTH, lineage])


def _of_role(role: str) -> list[pa.Field]:
    return [
        column(role, pa.string(), "", f"name of the {role} in the study"),
        column(f"{role}_family", pa.string(), "", "its family in the zoo"),
        column(f"{role}_sees", pa.string(), "", "representation that it reads"),
        column(f"{role}_parameters", pa.int64(), "", "its trainable numbers"),
        column(f"{role}_training_s", pa.float64(), "s", "measured; null where the fit was resumed, or is older", True),
        column(f"{role}_scored_per_s", pa.float64(), "events/s", "scored on one thread of its worker", True),
    ]


DIFFERENCES = pa.schema([
    column("pair", pa.string(), "", "the pair that is ranked above"),
    column("other", pa.string(), "", "the pair that is ranked below"),
    *_BY,
    column("z_difference", pa.float64(), "sigma", "mean of Z of the pair minus Z of the other on the same toy"),
    column("z_difference_error", pa.float64(), "sigma", "its error from the number of toys; not of pool or seed"),
    column("z_mean_difference", pa.float64(), "sigma", "mean over training seeds of z of the pair minus z of the other "
           "with the same seed; null without any further", True),
    column("z_mean_difference_error", pa.float64(), "sigma", "its error from their number", True),
    column("better", pa.float64(), "", "share of toys with signal in which the pair has the smaller p"),
    column("tied", pa.float64(), "", "share of toys in which both have the same"),
    column("bound", pa.float64(), "", "share of toys in which the Z of either is only a lower bound"),
    column("n_toys", pa.int64(), "", "toys with signal at the benchmark, of the same events for both"),
])  # fmt: skip
