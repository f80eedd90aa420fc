"""Tables of a comparison: pairs of networks beside each other, every column with its unit and meaning."""

import pyarrow as pa

from engine.schemas import _field

PAIRED = pa.schema([
    _field("toy", pa.int64(), "", "number of the toy with signal: the same events for every pair of models"),
    _field("q", pa.float64(), "", "the statistic of this toy"),
    _field("z", pa.float64(), "sigma", "one-sided significance of its p, ties counted half"),
    _field("bound", pa.bool_(), "", "z is a lower bound: the law of background ends there"),
])  # fmt: skip

COMPARISON = pa.schema([
    _field("rank", pa.int64(), "", "place by Z, the largest first; of equal bounds by t3_ty"),
    _field("pair", pa.string(), "", "name of the pair: VAE-CLASSIFIER"),
    _field("vae", pa.string(), "", "name of the autoencoder in the study"),
    _field("classifier", pa.string(), "", "name of the classifier in the study"),
    _field("vae_family", pa.string(), "", "its family in the zoo"),
    _field("classifier_family", pa.string(), "", "its family in the zoo"),
    _field("vae_sees", pa.string(), "", "representation that it reads"),
    _field("classifier_sees", pa.string(), "", "representation that it reads"),
    _field("statistic", pa.string(), "", "what pairs are ranked by: no monotone map of TS moves it"),
    _field("R", pa.float64(), "", "weight of H_B in the score"),
    _field("exposure_ty", pa.float64(), "t y", "exposure at which they are ranked"),
    _field("z", pa.float64(), "sigma", "one-sided Z of the median at the benchmark, from the exact law"),
    _field("z_tail", pa.string(), "", "exact, or bound: z is at least this"),
    _field("z_pool_error", pa.float64(), "sigma", "jack-knife error of z from the finite pool", True),
    _field("z_seed_error", pa.float64(), "sigma", "sd of z over training seeds; null without any further", True),
    _field("pool_limited", pa.bool_(), "", "too few pool events behind the statistic"),
    _field("t3_status", pa.string(), "", "of the exposure for three sigma: see engine.reach_schemas.REACH", True),
    _field("t3_ty", pa.float64(), "t y", "exposure for three sigma at the benchmark's mass", True),
    _field("t3_error_ty", pa.float64(), "t y", "jack-knife error of t3_ty from the finite pool", True),
    _field("t3_seed_error_ty", pa.float64(), "t y", "sd of t3_ty over training seeds", True),
    _field("n_seeds", pa.int64(), "", "fits behind the seed errors; every other column is of the first"),
    _field("auc", pa.float64(), "", "of the classifier, test events of both kinds, uniform in energy"),
    _field("accuracy", pa.float64(), "", "the same, at p = 1/2"),
    _field("er_leakage_30", pa.float64(), "", "share of test ER above the cut that 30 % of test NR pass"),
    _field("er_leakage_50", pa.float64(), "", "share of test ER above the cut that 50 % of test NR pass"),
    _field("n_test_er", pa.int64(), "events", "test ER behind the leakages"),
    _field("vae_parameters", pa.int64(), "", "trainable numbers of the autoencoder"),
    _field("classifier_parameters", pa.int64(), "", "trainable numbers of the classifier"),
    _field("vae_training_s", pa.float64(), "s", "measured; null where the fit was resumed, or is older", True),
    _field("classifier_training_s", pa.float64(), "s", "measured; null where the fit was resumed, or is older", True),
    _field("vae_scored_per_s", pa.float64(), "events/s", "scored on one thread of the worker that fitted", True),
    _field("classifier_scored_per_s", pa.float64(), "events/s", "scored on one thread of the same worker", True),
    _field("lineage", pa.string(), "", "digest of the pair's table"),
])  # fmt: skip

DIFFERENCES = pa.schema([
    _field("pair", pa.string(), "", "the pair that is ranked above"),
    _field("other", pa.string(), "", "the pair that is ranked below"),
    *(COMPARISON.field(name) for name in ("statistic", "R", "exposure_ty")),
    _field("z_difference", pa.float64(), "sigma", "mean of Z of the pair minus Z of the other on the same toy"),
    _field("z_difference_error", pa.float64(), "sigma", "its error from the number of toys; not of pool or seed"),
    _field("better", pa.float64(), "", "share of toys with signal in which the pair has the smaller p"),
    _field("tied", pa.float64(), "", "share of toys in which both have the same"),
    _field("bound", pa.float64(), "", "share of toys in which the Z of either is only a lower bound"),
    _field("n_toys", pa.int64(), "", "toys with signal at the benchmark, of the same events for both"),
])  # fmt: skip
