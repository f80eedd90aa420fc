"""Tables that cross a border: every column with its unit and meaning."""

import pyarrow as pa


def _field(name: str, kind: pa.DataType, unit: str, meaning: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable, {"unit": unit, "meaning": meaning})


TRUTH = ("energy_keV", "x_cm", "y_cm", "z_cm", "s1_pe", "s2_pe", "cs1_pe", "cs2_pe", "drift_us")

EVENTS = pa.schema([
    _field("event", pa.int64(), "", "number of the thrown event within its kind, over all shards"),
    _field("kind", pa.dictionary(pa.int8(), pa.string()), "",
           "ER or NR: electron or nuclear recoil; or the component that has events of its own"),
    _field("energy_keV", pa.float64(), "keV", "true recoil energy"),
    _field("proposal_per_keV", pa.float64(), "1/keV", "density of the energies thrown; of a user's table, 1 / weight"),
    _field("x_cm", pa.float64(), "cm", "true position"),
    _field("y_cm", pa.float64(), "cm", "true position"),
    _field("z_cm", pa.float64(), "cm", "true height above the cathode"),
    _field("s1_pe", pa.float64(), "PE", "S1 charge"),
    _field("s2_pe", pa.float64(), "PE", "S2 charge"),
    _field("cs1_pe", pa.float64(), "PE", "S1 corrected for light collection"),
    _field("cs2_pe", pa.float64(), "PE", "S2 corrected for electron lifetime"),
    _field("drift_us", pa.float64(), "us", "drift time"),
    _field("ces_keVee", pa.float64(), "keVee", "combined energy scale"),
    _field("selected", pa.bool_(), "", "is registered, and in the study's window for its kind"),
])  # fmt: skip

USER_EVENTS = pa.schema([
    _field("features", pa.list_(pa.uint16()), "",
           "what the networks see: a fixed-size list of unsigned integers, as long as the study's representation"),
    _field("ces_keVee", pa.float64(), "keVee", "combined energy scale; not needed where window = none", True),
    _field("weight", pa.float64(), "", "relative number of events that this one stands for; 1 if absent", True),
    *(EVENTS.field(name).with_nullable(True) for name in TRUTH),
])  # fmt: skip

AUTOENCODER_TERMS = pa.schema([
    _field("recon", pa.float64(), "nat", "reconstruction loss, summed over features"),
    _field("kl", pa.float64(), "nat", "Kullback-Leibler divergence, without the weight beta"),
])  # fmt: skip

CLASSIFIER_TERMS = pa.schema([
    _field("logit", pa.float64(), "", "log odds of a nuclear recoil; H_B = softplus(logit)"),
])  # fmt: skip

TOYS = pa.schema([
    _field("item", pa.dictionary(pa.int32(), pa.string()), "", "lineage of the block these toys belong to"),
    _field("n_events", pa.int64(), "", "events of the toy"),
    _field("totals", pa.list_(pa.float64()), "", "the statistic's sums or bin counts over the toy's events"),
])  # fmt: skip

_PLACE = [
    _field("m_chi_GeV", pa.float64(), "GeV/c2", "WIMP mass; null for a signal without one", True),
    _field("sigma_si_cm2", pa.float64(), "cm2", "spin-independent WIMP-nucleon cross-section, or null", True),
    _field("strength", pa.float64(), "", "multiple of the spectrum of a signal without a mass; else null", True),
    _field("exposure_ty", pa.float64(), "t y", "fiducial mass times live time"),
    _field("statistic", pa.string(), "", "test statistic; large values speak against background only"),
    _field("R", pa.float64(), "", "weight of H_B in the score, TS = -ELBO + R H_B; null: no score is used", True),
]

_SETTING = [
    _field("vae", pa.string(), "", "model family behind -ELBO"),
    _field("classifier", pa.string(), "", "model family behind H_B"),
    _field("beta", pa.float64(), "", "weight of the KL term in the score"),
    _field("additive", pa.bool_(), "", "the statistic follows from sums over the events, so that toys serve it"),
    _field("affine_invariant", pa.bool_(), "", "the statistic does not move with the unit and origin of TS"),
    _field("monotone_invariant", pa.bool_(), "", "nor with any monotone map of TS: fit to rank architectures and R"),
    _field("model_dependent", pa.bool_(), "", "the statistic looks at the signal model: a ceiling or a baseline"),
    _field("rates", pa.string(), "", "prior_predictive (rates drawn per toy) or idealised (fixed)"),
    _field("nr_window", pa.string(), "", "selection of nuclear recoils; electron recoils: see er_window"),
    _field("er_window", pa.string(), "", "selection of electron recoils"),
    _field("tuned_on", pa.string(), "", "the signal that R, threshold or network were chosen on"),
    _field("detector", pa.string(), "", "detector"),
    _field("representation", pa.string(), "", "representation of the readout"),
    _field("signal", pa.string(), "", "signal model"),
    _field("ts_unit", pa.string(), "", "unit of TS: nat, of features preprocessed this way"),
]

_AUDIT = [
    _field("n_background", pa.float64(), "events", "expected selected background events, B"),
    _field("n_signal", pa.float64(), "events", "expected selected signal events"),
    _field("z_count", pa.float64(), "sigma", "one-sided significance from the number of events alone, exact"),
    _field("pool_limited", pa.bool_(), "", "too few pool events; tail_count and excess_scan hold their error"),
    _field("events_per_pool_event", pa.float64(), "", "B over the pool events that toys draw from; trust below 0.01"),
    _field("signal_pool_size", pa.float64(), "events", "effective pool events that signal toys draw from"),
    _field("floor_events", pa.float64(), "events", "expected events, signal too, where f0 is its floor", True),
    _field("entropy_nat", pa.float64(), "nat", "h = -<ln f0> under f0, per event; moves with the unit of TS", True),
    _field("half_shift", pa.float64(), "sigma", "q expected from one half of the pool minus the other, over sd", True),
]

CELLS = pa.schema([
    *_PLACE, *_SETTING, *_AUDIT,
    _field("q_median", pa.float64(), "", "median of the statistic over signal toys"),
    _field("p_median", pa.float64(), "", "p-value of q_median under background only, (k + 1) / (n + 1)"),
    _field("p_low", pa.float64(), "", "lower end of the central 68.27 % interval of p_median"),
    _field("p_high", pa.float64(), "", "upper end of the central 68.27 % interval of p_median"),
    _field("tail", pa.string(), "", "how p was obtained: counted, kde, or bound (no null toy reached q_median)"),
    _field("n_below", pa.int64(), "", "signal toys at or below q_median"),
    _field("n_toys_null", pa.int64(), "", "toys under background only"),
    _field("n_toys_signal", pa.int64(), "", "toys with signal"),
    _field("lineage", pa.string(), "", "digest of everything that made this row"),
])  # fmt: skip

EXACT = pa.schema([
    *_PLACE, *_SETTING, *_AUDIT,
    _field("q_exact", pa.float64(), "", "median of the statistic with signal, from its law"),
    _field("p_exact", pa.float64(), "", "P(q >= q_exact) under background only, from its law"),
    _field("exact_tail", pa.string(), "", "exact, or bound: double precision ends above p_exact"),
    _field("p_at_toys", pa.float64(), "", "P(q >= q_median of the toys) under background only", True),
    _field("level_at_toys", pa.float64(), "", "P(q <= q_median of the toys) with signal", True),
    _field("z_pool_error", pa.float64(), "sigma", "jack-knife error of Z from the finite pool; at the benchmark", True),
    _field("lineage", pa.string(), "", "digest of everything that made this row"),
])  # fmt: skip

RESULTS = pa.schema([
    *_PLACE,
    _field("q_median", pa.float64(), "", "median of the statistic with signal"),
    _field("p_median", pa.float64(), "", "p-value of q_median under background only; how: see tail"),
    _field("p_low", pa.float64(), "", "lower end of the central 68.27 % interval of p_median"),
    _field("p_high", pa.float64(), "", "upper end of the central 68.27 % interval of p_median"),
    _field("z_median", pa.float64(), "sigma", "one-sided significance of p_median"),
    _field("tail", pa.string(), "", "counted, (k + 1) / (n + 1); kde; exact; or bound: p is at most p_median"),
    _field("p_exact", pa.float64(), "", "the same from the exact law, with no toys", True),
    _field("z_exact", pa.float64(), "sigma", "one-sided significance of p_exact", True),
    _field("exact_tail", pa.string(), "", "exact, or bound: p is at most p_exact", True),
    _field("pull", pa.float64(), "sigma", "null toys beyond q_median against the exact law", True),
    _field("pull_median", pa.float64(), "sigma", "signal toys below q_median against the exact law", True),
    _field("z_pool_error", pa.float64(), "sigma", "jack-knife error of z_exact from the finite pool", True),
    _field("z_seed_error", pa.float64(), "sigma", "sd of z_exact over training seeds; null without any further", True),
    *_SETTING, *_AUDIT,
    _field("n_toys_null", pa.int64(), "", "toys under background only; 0: none were needed"),
    _field("n_toys_signal", pa.int64(), "", "toys with signal; 0: none were needed"),
    _field("point", pa.string(), "", "grid, or benchmark (a point that the study names beside its grid)"),
    _field("level", pa.int64(), "", "0: the study names the point; else the round of grid.refine that added it"),
    _field("reason", pa.string(), "", "why the row, or its exact law, has no answer; null: it has", True),
    _field("lineage", pa.string(), "", "digest of everything that made this row"),
])  # fmt: skip

_LIMIT_SETTING = ("rates", "nr_window", "er_window", "detector", "signal", "model_dependent")  # it looks at no score

LIMITS = pa.schema([
    _field("m_chi_GeV", pa.float64(), "GeV/c2", "WIMP mass"),
    _field("exposure_ty", pa.float64(), "t y", "fiducial mass times live time"),
    _field("statistic", pa.string(), "", "profile_likelihood: q~_mu of (cS1, cS2), which knows the signal"),
    _field("sigma_90_cm2", pa.float64(), "cm2", "median upper limit without signal; null: no signal in the pool", True),
    _field("sigma_low_cm2", pa.float64(), "cm2", "lower end of the limits' central 68.27 %", True),
    _field("sigma_high_cm2", pa.float64(), "cm2", "upper end of the limits' central 68.27 %", True),
    _field("power_constrained_cm2", pa.float64(), "cm2", "an observed limit below it is replaced by it", True),
    _field("level", pa.float64(), "", "confidence level of the limit"),
    _field("power", pa.float64(), "", "probability of a limit below power_constrained_cm2 without signal"),
    _field("method", pa.string(), "", "asymptotic; or none: the pool has no signal event"),
    _field("n_toys", pa.int64(), "", "toys at the limit; null: this mass is not checked", True),
    _field("coverage", pa.float64(), "", "share of these toys whose limit is above the truth", True),
    _field("coverage_low", pa.float64(), "", "lower end of the central 68.27 % interval of coverage", True),
    _field("coverage_high", pa.float64(), "", "upper end of the central 68.27 % interval of coverage", True),
    _field("critical_z", pa.float64(), "sigma", "z that `level` of these toys stay below; asymptotically 1.2816", True),
    _field("n_background", pa.float64(), "events", "expected selected background events, without left_out"),
    _field("n_signal", pa.float64(), "events", "expected selected signal events at sigma_90_cm2", True),
    _field("left_out", pa.string(), "", "components without events in either half of the pool, by comma"),
    _field("signal_pool_size", pa.float64(), "events", "effective pool events of the signal"),
    _field("background_pool_size", pa.float64(), "events", "the same of background, as like signal as its upper half"),
    _field("pool_limited", pa.bool_(), "", "fewer than 400 of either"),
    *(field for field in _SETTING if field.name in _LIMIT_SETTING),
    _field("lineage", pa.string(), "", "digest of everything that made this row"),
])  # fmt: skip

SYSTEMATICS = pa.schema([
    _field("nuisance", pa.string(), "", "leakage, rates, or a constant of the detector"),
    _field("direction", pa.string(), "", "up; down; averaged (log-normal leakage); drawn (rates, against known ones)"),
    _field("amount", pa.float64(), "", "factor on the leakage, or one sigma of it; relative shift of a constant; or 1"),
    *_PLACE,
    _field("n_background", pa.float64(), "events", "expected selected background events, B"),
    _field("n_background_varied", pa.float64(), "events", "the same under the variation; its mean if averaged"),
    _field("n_signal", pa.float64(), "events", "expected selected signal events at the benchmark"),
    _field("n_signal_varied", pa.float64(), "events", "the same under the variation"),
    _field("threshold", pa.float64(), "", "smallest q that background reaches with p = 1.35e-3 at most"),
    _field("threshold_varied", pa.float64(), "", "the same under the variation, of the same statistic"),
    _field("threshold_shift", pa.float64(), "", "threshold_varied - threshold"),
    _field("false_alarm", pa.float64(), "", "P(q >= threshold) under background only; a discrete q stays below p"),
    _field("false_alarm_varied", pa.float64(), "", "the same under the variation, at the nominal threshold"),
    _field("inflation", pa.float64(), "", "false_alarm_varied / false_alarm"),
    _field("inflation_error", pa.float64(), "", "its error: jack-knife of the pool (exact), or binomial (toys)"),
    _field("power", pa.float64(), "", "P(q >= threshold) with the benchmark's signal"),
    _field("power_varied", pa.float64(), "", "the same under the variation, at the nominal threshold"),
    _field("power_recalibrated", pa.float64(), "", "the same under the variation, at threshold_varied"),
    _field("method", pa.string(), "", "exact (the law of q) or toys"),
    _field("pool_limited", pa.bool_(), "", "too few pool events behind the statistic"),
    *_SETTING,
    _field("lineage", pa.string(), "", "digest of everything that made this row"),
])  # fmt: skip

TRIALS = pa.schema([
    *_PLACE,
    _field("q_median", pa.float64(), "", "median of the statistic over signal toys", True),
    _field("p_median", pa.float64(), "", "p-value of q_median under background only, from toys", True),
    _field("p_low", pa.float64(), "", "lower end of the central 68.27 % interval of p_median", True),
    _field("p_high", pa.float64(), "", "upper end of the central 68.27 % interval of p_median", True),
    _field("z_median", pa.float64(), "sigma", "one-sided significance of p_median", True),
    _field("tail", pa.string(), "", "counted, (k + 1) / (n + 1); kde; or bound: p is at most p_median", True),
    _field("p_exact", pa.float64(), "", "the same from the exact law, with no toys", True),
    _field("z_exact", pa.float64(), "sigma", "one-sided significance of p_exact", True),
    _field("exact_tail", pa.string(), "", "exact, or bound: double precision ends above p_exact", True),
    _field("z_pool_error", pa.float64(), "sigma", "jack-knife error of z_exact, finite pool; where worst", True),
    *_SETTING, *_AUDIT,
    _field("n_toys_null", pa.int64(), "", "toys under background only; 0: none serve this statistic"),
    _field("n_toys_signal", pa.int64(), "", "toys with signal; 0: none serve this statistic"),
    _field("lineage", pa.string(), "", "digest of everything that made this trial"),
])  # fmt: skip

TUNED = pa.schema([
    *TRIALS,
    _field("is_objective", pa.bool_(), "", "whether R is chosen by this statistic"),
    _field("objective", pa.float64(), "sigma", "Z of the objective at the signal where this R does worst"),
    _field("origin", pa.string(), "", "grid, or tpe: where a sampler expected more"),
    _field("best", pa.bool_(), "", "whether this R is the one that was chosen"),
])  # fmt: skip

_LEAKAGE = [
    _field(f"er_leakage_at_{percent}_percent_nr{end}", pa.float64(), "", meaning, True)
    for percent in (30, 50)
    for end, meaning in (("", f"share of ER kept by the cut that keeps {percent} % of NR or, of ties, more"),
                         ("_low", "lower end of its central 68.27 % interval, binomial"),
                         ("_high", "upper end of its central 68.27 % interval, binomial"))
]  # fmt: skip

DIAGNOSTICS = pa.schema([
    _field("model", pa.string(), "", "model family"),
    _field("role", pa.string(), "", "classifier (the study's), or floor: (cS1, cS2, drift time) alone, same training"),
    _field("population", pa.string(), "", "test events, uniform in true energy; or those within the study's window"),
    _field("n_er", pa.int64(), "events", "electron recoils"),
    _field("n_nr", pa.int64(), "events", "nuclear recoils"),
    _field("auc", pa.float64(), "", "area under the ROC: P(a nuclear recoil has the higher logit)", True),
    _field("accuracy", pa.float64(), "", "at p = 1/2, of as many ER as NR", True),
    _field("precision", pa.float64(), "", "share of NR in what is called NR, of as many ER as NR; or null", True),
    _field("recall", pa.float64(), "", "share of NR that are called NR", True),
    _field("precision_at_35_percent_nr", pa.float64(), "", "precision where 35 % of the events are NR", True),
    *_LEAKAGE,
    _field("nr_with_one_logit", pa.float64(), "", "largest share of NR with one logit, as of units that died", True),
    _field("er_as_er", pa.int64(), "events", "electron recoils with p <= 1/2, unweighted"),
    _field("er_as_nr", pa.int64(), "events", "electron recoils with p > 1/2, unweighted"),
    _field("nr_as_er", pa.int64(), "events", "nuclear recoils with p <= 1/2, unweighted"),
    _field("nr_as_nr", pa.int64(), "events", "nuclear recoils with p > 1/2, unweighted"),
    _field("roc_er_leakage", pa.list_(pa.float64()), "", "points of the ROC, ascending: share of ER kept"),
    _field("roc_nr_acceptance", pa.list_(pa.float64()), "", "points of the ROC, ascending: share of NR kept"),
    _field("lineage", pa.string(), "", "digest of everything that made this row"),
])  # fmt: skip

POSTERIOR_PREDICTIVE = pa.schema([
    _field("section", pa.string(), "", "stretch of the representation"),
    _field("feature", pa.int64(), "", "number of the feature within its section, from 0"),
    _field("ppc_mean", pa.float64(), "", "mean of (drawn - real) / test_sd; null: the same in all test events", True),
    _field("ppc_sd", pa.float64(), "", "standard deviation of it over events", True),
    _field("test_mean", pa.float64(), "the feature's", "mean over the test events, electron recoils"),
    _field("test_sd", pa.float64(), "the feature's", "standard deviation over the test events"),
])  # fmt: skip

LATENT = pa.schema([
    EVENTS.field("event"), EVENTS.field("kind"), EVENTS.field("energy_keV"), *AUTOENCODER_TERMS,
    _field("mu", pa.list_(pa.float32()), "", "mean of q(z|x)"),
    _field("tsne_1", pa.float64(), "", "first coordinate of the map of mu; null: not on the map", True),
    _field("tsne_2", pa.float64(), "", "second coordinate of the map of mu", True),
])  # fmt: skip

EXAMPLES = pa.schema([
    EVENTS.field("event"), EVENTS.field("kind"), EVENTS.field("energy_keV"),
    _field("real", pa.list_(pa.float32()), "the feature's", "what the autoencoder saw"),
    _field("reconstructed", pa.list_(pa.float32()), "the feature's", "what it made of it, at z = mu"),
])  # fmt: skip

ROW_ORDER = ["point", "exposure_ty", "m_chi_GeV", "sigma_si_cm2", "strength", "R", "statistic"]


def nullable(schema: pa.Schema) -> pa.Schema:
    """The same for rows of which not everything is known."""
    return pa.schema([field.with_nullable(True) for field in schema], schema.metadata)


def table(schema: pa.Schema, columns: dict[str, object]) -> pa.Table:
    """Columns as a table of exactly this schema, in its order; raises KeyError on a column too few or many."""
    if set(columns) != set(schema.names):
        raise KeyError(f"columns differ from the schema: {sorted(set(columns) ^ set(schema.names))}")
    arrays = [pa.array(columns[name]).cast(schema.field(name).type) for name in schema.names]
    return pa.Table.from_arrays(arrays, schema=schema)
