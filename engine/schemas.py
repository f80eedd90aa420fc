"""Tables that cross a border: every column with its unit and meaning."""

import pyarrow as pa

from engine.size import Size


def column(name: str, kind: pa.DataType, unit: str, meaning: str, nullable: bool = False) -> pa.Field:
    """A column of a table, which says its unit and its meaning."""
    return pa.field(name, kind, nullable, {"unit": unit, "meaning": meaning})


TRUTH = ("energy_keV", "x_cm", "y_cm", "z_cm", "s1_pe", "s2_pe", "cs1_pe", "cs2_pe", "drift_us")

EVENTS = pa.schema([
    column("event", pa.int64(), "", "number of the thrown event within its kind, over all shards"),
    column("kind", pa.dictionary(pa.int8(), pa.string()), "",
           "ER or NR: electron or nuclear recoil; or the component that has events of its own"),
    column("energy_keV", pa.float64(), "keV", "true recoil energy"),
    column("proposal_per_keV", pa.float64(), "1/keV", "density of the energies thrown; of a user's table, 1 / weight"),
    column("x_cm", pa.float64(), "cm", "true position"),
    column("y_cm", pa.float64(), "cm", "true position"),
    column("z_cm", pa.float64(), "cm", "true height above the cathode"),
    column("s1_pe", pa.float64(), "PE", "S1 charge"),
    column("s2_pe", pa.float64(), "PE", "S2 charge"),
    column("cs1_pe", pa.float64(), "PE", "S1 corrected for light collection"),
    column("cs2_pe", pa.float64(), "PE", "S2 corrected for electron lifetime"),
    column("drift_us", pa.float64(), "us", "drift time"),
    column("ces_keVee", pa.float64(), "keVee", "combined energy scale"),
    column("selected", pa.bool_(), "", "is registered, and in the study's window for its kind"),
])  # fmt: skip

ENRICHED = EVENTS.set(
    EVENTS.get_field_index("proposal_per_keV"),
    column(
        "proposal_per_keV", pa.float64(), "1/keV", "density of the energies thrown, times the probability to be kept"
    ),
)

USER_EVENTS = pa.schema([
    column("features", pa.list_(pa.uint16()), "",
           "what the networks see: a fixed-size list of unsigned integers, as long as the study's representation"),
    column("ces_keVee", pa.float64(), "keVee", "combined energy scale; not needed where window = none", True),
    column("weight", pa.float64(), "", "relative number of events that this one stands for; 1 if absent", True),
    *(EVENTS.field(name).with_nullable(True) for name in TRUTH),
])  # fmt: skip

AUTOENCODER_TERMS = pa.schema([
    column("recon", pa.float64(), "nat", "reconstruction loss, summed over features"),
    column("kl", pa.float64(), "nat", "Kullback-Leibler divergence, without the weight beta"),
])  # fmt: skip

CLASSIFIER_TERMS = pa.schema([
    column("logit", pa.float64(), "", "log odds of a nuclear recoil; H_B = softplus(logit)"),
])  # fmt: skip

DENSITY_TERMS = pa.schema([column("log_density", pa.float64(), "nat", "ln p of the scaled features")])

# by the kind of a family
TERMS = {"autoencoder": AUTOENCODER_TERMS, "classifier": CLASSIFIER_TERMS, "density": DENSITY_TERMS}

TOYS = pa.schema([
    column("item", pa.dictionary(pa.int32(), pa.string()), "", "lineage of the block these toys belong to"),
    column("n_events", pa.int64(), "", "events of the toy"),
    column("totals", pa.list_(pa.float64()), "", "the statistic's sums or bin counts over the toy's events"),
])  # fmt: skip


def place(size: Size) -> list[pa.Field]:
    """Where a row is: the signal on its axes, the exposure, statistic and score."""
    return [
        column("m_chi_GeV", pa.float64(), "GeV/c2", "WIMP mass; null for a signal without one", True),
        column(size.name, pa.float64(), size.unit, size.meaning, True),
        column("exposure_ty", pa.float64(), "t y", "fiducial mass times live time"),
        column("statistic", pa.string(), "", "test statistic; large values speak against background only"),
        column("R", pa.float64(), "", "weight in the score, 0 where it has none; null: no score is used", True),
    ]


FLAGS = [
    column("additive", pa.bool_(), "", "the statistic follows from sums over the events, so that toys serve it"),
    column("affine_invariant", pa.bool_(), "", "the statistic does not move with the unit and origin of TS"),
    column("monotone_invariant", pa.bool_(), "", "nor with any monotone map of TS: fit to rank architectures and R"),
    column("model_dependent", pa.bool_(), "", "the statistic looks at the signal model: a ceiling or a baseline"),
]

SETTING = [
    column("models", pa.string(), "", "model family in each role of the score"),
    column("score", pa.string(), "", "how TS is made of the models' terms, with its numbers"),
    *FLAGS,
    column("rates", pa.string(), "", "prior_predictive (rates drawn per toy) or idealised (fixed)"),
    column("nr_window", pa.string(), "", "selection of nuclear recoils; electron recoils: see er_window"),
    column("er_window", pa.string(), "", "selection of electron recoils"),
    column("tuned_on", pa.string(), "", "the signal that R, threshold or network were chosen on"),
    column("detector", pa.string(), "", "detector"),
    column("representation", pa.string(), "", "representation of the readout"),
    column("signal", pa.string(), "", "signal model"),
    column("ts_unit", pa.string(), "", "unit of TS: nat, of features preprocessed this way"),
]

EXPECTED = [
    column("n_background", pa.float64(), "events", "expected selected background events, B"),
    column("n_signal", pa.float64(), "events", "expected selected signal events"),
    column("er_leakage", pa.float64(), "", "selected electron recoils beyond the line of 30 % NR in (cS1, cS2)"),
    column("leakage_known", pa.float64(), "", "factor (1 sigma) to which the null knows er_leakage; 1: exactly"),
    column("z_count", pa.float64(), "sigma", "one-sided significance from the number of events alone, exact"),
    column("pool_limited", pa.bool_(), "", "too few pool events, or halves that differ beyond three z_pool_error"),
    column("events_per_pool_event", pa.float64(), "", "B over the pool events that toys draw from; trust below 0.01"),
    column("signal_pool_size", pa.float64(), "events", "effective pool events that signal toys draw from"),
    column("floor_events", pa.float64(), "events", "expected events, signal too, where f0 is its floor", True),
    column("entropy_nat", pa.float64(), "nat", "h = -<ln f0> under f0, per event; moves with the unit of TS", True),
    column("half_shift", pa.float64(), "sigma", "q expected from one half of the pool minus the other, over sd", True),
]

P_DEFICIT = column("p_deficit", pa.float64(), "", "part of p_median: P(q >= q_median, N < B) by null toys; null: N < B "
                   "is no excess to q, or no toys", True)  # fmt: skip

CELLS = pa.schema([
    *EXPECTED,
    column("q_median", pa.float64(), "", "median of the statistic over signal toys"),
    column("p_median", pa.float64(), "", "p-value of q_median under background only, (k + 1) / (n + 1)"),
    column("p_low", pa.float64(), "", "lower end of the central 68.27 % interval of p_median"),
    column("p_high", pa.float64(), "", "upper end of the central 68.27 % interval of p_median"),
    column("tail", pa.string(), "", "how p was obtained: counted, kde, or bound (no null toy reached q_median)"),
    P_DEFICIT,
    column("n_below", pa.int64(), "", "signal toys at or below q_median"),
    column("n_toys_null", pa.int64(), "", "toys under background only"),
    column("n_toys_signal", pa.int64(), "", "toys with signal"),
    column("lineage", pa.string(), "", "digest of everything that made this row"),
])  # fmt: skip

EXACT = pa.schema([
    *EXPECTED,
    column("q_exact", pa.float64(), "", "median of the statistic with signal, from its law"),
    column("p_exact", pa.float64(), "", "P(q >= q_exact) under background only, from its law"),
    column("exact_tail", pa.string(), "", "exact, or bound: double precision ends above p_exact"),
    column("p_at_toys", pa.float64(), "", "P(q >= q_median of the toys) under background only", True),
    column("level_at_toys", pa.float64(), "", "P(q <= q_median of the toys) with signal", True),
    column("z_pool_error", pa.float64(), "sigma", "jack-knife error of Z from the finite pool; at the benchmark", True),
    column("half_z_shift", pa.float64(), "sigma", "Z if f0's half of the pool were the truth, minus the other's", True),
    column("lineage", pa.string(), "", "digest of everything that made this row"),
])  # fmt: skip

RESULT = [  # of a row of the study's table, beside place, setting and expectation
    column("q_median", pa.float64(), "", "median of the statistic with signal"),
    column("p_median", pa.float64(), "", "p-value of q_median under background only; how: see tail"),
    column("p_low", pa.float64(), "", "lower end of the central 68.27 % interval of p_median"),
    column("p_high", pa.float64(), "", "upper end of the central 68.27 % interval of p_median"),
    column("z_median", pa.float64(), "sigma", "one-sided significance of p_median"),
    column("tail", pa.string(), "", "counted, (k + 1) / (n + 1); kde; exact; or bound: p is at most p_median"),
    P_DEFICIT,
    column("p_exact", pa.float64(), "", "the same from the exact law, with no toys", True),
    column("z_exact", pa.float64(), "sigma", "one-sided significance of p_exact", True),
    column("exact_tail", pa.string(), "", "exact, or bound: p is at most p_exact", True),
    column("pull", pa.float64(), "sigma", "null toys beyond q_median against the exact law", True),
    column("pull_median", pa.float64(), "sigma", "signal toys below q_median against the exact law", True),
    column("z_pool_error", pa.float64(), "sigma", "jack-knife error of z_exact, finite pool; null: a bound", True),
    column("half_z_shift", pa.float64(), "sigma", "Z if f0's half of the pool were the truth, minus the other's", True),
    column("z_seed_error", pa.float64(), "sigma", "sd of z_exact over training seeds; null without any further", True),
]

_ROW = [
    column("n_toys_null", pa.int64(), "", "toys under background only; 0: none were needed"),
    column("n_toys_signal", pa.int64(), "", "toys with signal; 0: none were needed"),
    column("point", pa.string(), "", "grid, or benchmark (a point that the study names beside its grid)"),
    column("level", pa.int64(), "", "0: the study names the point; else the round of grid.refine that added it"),
    column("reason", pa.string(), "", "why the row, or its exact law, has no answer; null: it has", True),
    column("lineage", pa.string(), "", "digest of everything that made this row"),
]


def results(size: Size) -> pa.Schema:
    """The study's table, for a signal that is linear in `size`."""
    return pa.schema([*place(size), *RESULT, *SETTING, *EXPECTED, *_ROW])


LIMIT = pa.schema([
    column("limit_90", pa.float64(), "the size's", "median upper limit without signal; null: none in the pool", True),
    column("limit_90_error", pa.float64(), "the size's", "error of limit_90 from its toys; null: asymptotic", True),
    column("limit_low", pa.float64(), "the size's", "lower end of the limits' central 68.27 %", True),
    column("limit_high", pa.float64(), "the size's", "upper end of the limits' central 68.27 %", True),
    column("power_constrained", pa.float64(), "the size's", "an observed limit below it is replaced by it", True),
    column("lower_end", pa.float64(), "the size's", "median lower end without signal; null: interval is upper", True),
    column("interval", pa.string(), "", "upper: one-sided; unified: two-sided, and limit_90 its upper end"),
    column("level", pa.float64(), "", "confidence level of the interval"),
    column("power", pa.float64(), "", "probability of a limit below power_constrained without signal"),
    column("method", pa.string(), "", "neyman (by toys, covers); asymptotic; or none: the pool has no signal event"),
    column("n_toys", pa.int64(), "", "toys at each true strength, and without signal; null: asymptotic", True),
    column("z_discovery", pa.float64(), "sigma", "one-sided, of the median q_0 at the benchmark, by toys", True),
    column("discovery_tail", pa.string(), "", "counted, or bound: no toy without signal reached it", True),
    column("z_discovery_asymptotic", pa.float64(), "sigma", "the same, as the root of the Asimov data set's q_0", True),
    column("n_background", pa.float64(), "events", "expected selected background events, without left_out"),
    column("n_signal", pa.float64(), "events", "expected selected signal events at limit_90", True),
    column("left_out", pa.string(), "", "components without events in either half of the pool, by comma"),
    column("signal_pool_size", pa.float64(), "events", "effective pool events of the signal"),
    column("background_pool_size", pa.float64(), "events", "the same of background, as like signal as its upper half"),
    column("pool_limited", pa.bool_(), "", "fewer than 400 of either"),
    column("lineage", pa.string(), "", "digest of everything that made this row"),
])  # fmt: skip

_LIMIT_SETTING = ("rates", "nr_window", "er_window", "detector", "signal", "model_dependent")  # it looks at no score
LIMITS_ON_SIZE = ("limit_90", "limit_90_error", "limit_low", "limit_high", "power_constrained", "lower_end")


def limits(size: Size) -> pa.Schema:
    """All limits of a study; those on the size are called by its name: sigma_si_90_cm2."""
    return pa.schema([
        column("m_chi_GeV", pa.float64(), "GeV/c2", "WIMP mass; null for a signal without one", True),
        column("exposure_ty", pa.float64(), "t y", "fiducial mass times live time"),
        column("statistic", pa.string(), "", "profile_likelihood: q~_mu of (cS1, cS2), which knows the signal"),
        *(_on_size(field, size) for field in LIMIT if field.name != "lineage"),
        *(field for field in SETTING if field.name in _LIMIT_SETTING),
        LIMIT.field("lineage"),
    ])  # fmt: skip


def _on_size(field: pa.Field, size: Size) -> pa.Field:
    if field.name not in LIMITS_ON_SIZE:
        return field
    meaning = field.metadata[b"meaning"].decode()
    return column(size.named(field.name.removeprefix("limit_")), field.type, size.unit, meaning, field.nullable)


_VARIATION = [
    column("nuisance", pa.string(), "", "leakage, rates, a constant, component.option; training_seed: another score"),
    column("direction", pa.string(), "", "up; down; averaged (leakage); drawn (rates); refitted (training_seed)"),
    column("amount", pa.float64(), "", "factor on leakage, or its sigma; shift of a constant; an option; 1; a seed"),
]

VARIED = pa.schema([
    column("n_background", pa.float64(), "events", "expected selected background events, B"),
    column("n_background_varied", pa.float64(), "events", "the same under the variation; its mean if averaged"),
    column("n_signal", pa.float64(), "events", "expected selected signal events at the benchmark"),
    column("n_signal_varied", pa.float64(), "events", "the same under the variation"),
    column("threshold", pa.float64(), "", "smallest q that background reaches with p = 1.35e-3 at most"),
    column("threshold_varied", pa.float64(), "", "the same under the variation, of the same statistic"),
    column("threshold_shift", pa.float64(), "", "threshold_varied - threshold; null where q has another unit", True),
    column("false_alarm", pa.float64(), "", "P(q >= threshold) under background only; a discrete q stays below p"),
    column("false_alarm_varied", pa.float64(), "", "the same under the variation, nominal threshold; no seed's", True),
    column("inflation", pa.float64(), "", "false_alarm_varied / false_alarm; null for a training seed", True),
    column("inflation_error", pa.float64(), "", "its error: jack-knife of the pool (exact), or binomial (toys)", True),
    column("power", pa.float64(), "", "P(q >= threshold) with the benchmark's signal"),
    column("power_varied", pa.float64(), "", "the same under the variation, at the nominal threshold; no seed's", True),
    column("power_recalibrated", pa.float64(), "", "the same under the variation, at threshold_varied"),
    column("z", pa.float64(), "sigma", "of the median with signal; only beside another training seed's", True),
    column("z_varied", pa.float64(), "sigma", "the same of the other training seed; null if a bound", True),
    column("method", pa.string(), "", "exact (the law of q) or toys"),
    column("pool_limited", pa.bool_(), "", "too few pool events behind the statistic"),
    column("lineage", pa.string(), "", "digest of everything that made this row"),
])  # fmt: skip


def systematics(size: Size) -> pa.Schema:
    """All rows of a study's systematics."""
    of_row = [field for field in VARIED if field.name != "lineage"]
    return pa.schema([*_VARIATION, *place(size), *of_row, *SETTING, VARIED.field("lineage")])


LEAKAGE_ROW = pa.schema([
    column("er_leakage", pa.float64(), "", "selected electron recoils beyond the line of 30 % NR in (cS1, cS2)"),
    column("leakage_known", pa.float64(), "", "factor (1 sigma) to which the null knows er_leakage; 1: exactly"),
    column("n_background", pa.float64(), "events", "expected selected background events, B"),
    column("n_signal", pa.float64(), "events", "expected selected signal events"),
    column("pool_limited", pa.bool_(), "", "too few pool events behind the statistic"),
    column("p", pa.float64(), "", "of the median with signal under background only, from laws; null: sought", True),
    column("z", pa.float64(), "sigma", "one-sided significance of p", True),
    column("tail", pa.string(), "", "exact, or bound: p is at most this", True),
    column("status", pa.string(), "", "of an exposure sought: found, beyond_range, below_range", True),
    column("t3_ty", pa.float64(), "t y", "smallest exposure beyond which the power stays; null beyond the range", True),
    column("lineage", pa.string(), "", "digest of everything that made this row"),
])  # fmt: skip


def leakage(size: Size) -> pa.Schema:
    """Z and the exposure of three sigma by how well the leakage is known."""
    exposure = column("exposure_ty", pa.float64(), "t y", "null: the row says from which exposure on", True)
    calibration = column("calibration_events", pa.float64(), "", "that tell the leakage; null: a factor does", True)
    where = [exposure if field.name == "exposure_ty" else field for field in place(size)]
    of_row = [field for field in LEAKAGE_ROW if field.name != "lineage"]
    return pa.schema([calibration, *where, *of_row, *SETTING, LEAKAGE_ROW.field("lineage")])


_EXPECTED = {field.name: field for field in EXPECTED}

COMBINED_ROW = pa.schema([
    *(_EXPECTED[name] for name in ("n_background", "n_signal", "er_leakage", "leakage_known", "z_count")),
    column("pool_limited", pa.bool_(), "", "too few pool events behind one of the choices"),
    column("p_median", pa.float64(), "", "median over signal toys of the global p of the smallest p of all choices"),
    column("p_low", pa.float64(), "", "lower end of an interval of p_median that covers 68.27 % or more"),
    column("p_high", pa.float64(), "", "upper end of an interval of p_median that covers 68.27 % or more"),
    column("tail", pa.string(), "", "counted, or bound: the median toy is beyond all null toys in its best choice"),
    column("trial_factor", pa.float64(), "", "p_median over the smallest local p of that toy: 1 to n_choices"),
    column("best", pa.int64(), "", "place of the choice whose own median p is smallest, from 0: knows the signal"),
    column("p_best", pa.float64(), "", "the median p of that choice alone, on the same toys"),
    column("tail_best", pa.string(), "", "counted or bound, of p_best"),
    column("n_toys_null", pa.int64(), "", "toys under background only, the same events for every choice"),
    column("n_toys_signal", pa.int64(), "", "toys with signal, the same events for every choice"),
    column("lineage", pa.string(), "", "digest of everything that made this row"),
])  # fmt: skip

_COMBINED_SETTING = ("score", "rates", "nr_window", "er_window", "tuned_on", "detector", "signal")


def combined(size: Size) -> pa.Schema:
    """One search out of several: the smallest p over statistics, values of R, pairs of networks and seeds."""
    return pa.schema([
        column("pairs", pa.string(), "", "pairs of networks that were tried, by comma"),
        column("statistics", pa.string(), "", "statistics that were tried, by comma"),
        column("R", pa.list_(pa.float64()), "", "values of R that were tried; empty: no score is used"),
        column("n_seeds", pa.int64(), "", "fits of each pair that were tried"),
        column("n_choices", pa.int64(), "", "all these together, the count once"),
        *place(size)[:3],
        *(field for field in COMBINED_ROW if field.name not in ("best", "lineage")),
        column("z_median", pa.float64(), "sigma", "one-sided significance of p_median"),
        column("z_best", pa.float64(), "sigma", "one-sided significance of p_best"),
        column("best_pair", pa.string(), "", "pair of networks of the best choice; a trial factor belongs to p_best"),
        column("best_statistic", pa.string(), "", "its statistic"),
        column("best_R", pa.float64(), "", "its R; null: it looks at no score", True),
        column("best_seed", pa.int64(), "", "the seed that its last network was fitted with"),
        *(field for field in SETTING if field.name in _COMBINED_SETTING),
        COMBINED_ROW.field("lineage"),
    ])  # fmt: skip


_TRIAL = [
    column("q_median", pa.float64(), "", "median of the statistic over signal toys", True),
    column("p_median", pa.float64(), "", "p-value of q_median under background only, from toys", True),
    column("p_low", pa.float64(), "", "lower end of the central 68.27 % interval of p_median", True),
    column("p_high", pa.float64(), "", "upper end of the central 68.27 % interval of p_median", True),
    column("z_median", pa.float64(), "sigma", "one-sided significance of p_median", True),
    column("tail", pa.string(), "", "counted, (k + 1) / (n + 1); kde; or bound: p is at most p_median", True),
    column("p_exact", pa.float64(), "", "the same from the exact law, with no toys", True),
    column("z_exact", pa.float64(), "sigma", "one-sided significance of p_exact", True),
    column("exact_tail", pa.string(), "", "exact, or bound: double precision ends above p_exact", True),
    column("z_pool_error", pa.float64(), "sigma", "jack-knife error of z_exact, finite pool; where worst", True),
    *EXPECTED,
    column("n_toys_null", pa.int64(), "", "toys under background only; 0: none serve this statistic"),
    column("n_toys_signal", pa.int64(), "", "toys with signal; 0: none serve this statistic"),
    column("lineage", pa.string(), "", "digest of everything that made this trial"),
]

TRIAL = pa.schema(
    [
        column("m_chi_GeV", pa.float64(), "GeV/c2", "WIMP mass; null for a signal without one", True),
        column("statistic", pa.string(), "", "name of the statistic in the study"),
        *_TRIAL,
    ]
)


def tuned(size: Size) -> pa.Schema:
    """All trials of a scan over R, with what the choice among them stands on."""
    return pa.schema([
        *place(size), *SETTING, *_TRIAL,
        column("is_objective", pa.bool_(), "", "whether R is chosen by this statistic"),
        column("objective", pa.float64(), "sigma", "Z of the objective at the signal where this R does worst"),
        column("origin", pa.string(), "", "grid, or tpe: where a sampler expected more"),
        column("best", pa.bool_(), "", "whether this R has the best objective; one of the study's may tie"),
    ])  # fmt: skip


_LEAKAGE = [
    column(f"er_leakage_at_{percent}_percent_nr{end}", pa.float64(), "", meaning, True)
    for percent in (30, 50)
    for end, meaning in (("", f"share of ER kept by the cut that keeps {percent} % of NR or, of ties, more"),
                         ("_low", "lower end of its central 68.27 % interval, binomial"),
                         ("_high", "upper end of its central 68.27 % interval, binomial"))
]  # fmt: skip

CLASSIFIED = pa.schema([
    column("population", pa.string(), "", "test events, uniform in true energy; or those within the study's window"),
    column("n_er", pa.int64(), "events", "electron recoils"),
    column("n_nr", pa.int64(), "events", "nuclear recoils"),
    column("auc", pa.float64(), "", "area under the ROC: P(a nuclear recoil has the higher logit)", True),
    column("accuracy", pa.float64(), "", "at p = 1/2, of as many ER as NR", True),
    column("precision", pa.float64(), "", "share of NR in what is called NR, of as many ER as NR; or null", True),
    column("recall", pa.float64(), "", "share of NR that are called NR", True),
    column("precision_at_35_percent_nr", pa.float64(), "", "precision where 35 % of the events are NR", True),
    *_LEAKAGE,
    column("argos", pa.float64(), "", "largest (NR - ER kept) / sqrt(ER kept), of 100 effective ER at least", True),
    column("argos_error", pa.float64(), "", "its error from the events kept, binomial", True),
    column("argos_er_leakage", pa.float64(), "", "share of ER kept by that cut", True),
    column("argos_nr_acceptance", pa.float64(), "", "share of NR kept by that cut", True),
    column("er_with_one_logit", pa.float64(), "", "largest share of ER that have one logit, and are two or more", True),
    column("nr_with_one_logit", pa.float64(), "", "the same of NR: a cut cannot part them, as where units died", True),
    column("er_as_er", pa.int64(), "events", "electron recoils with p <= 1/2, unweighted"),
    column("er_as_nr", pa.int64(), "events", "electron recoils with p > 1/2, unweighted"),
    column("nr_as_er", pa.int64(), "events", "nuclear recoils with p <= 1/2, unweighted"),
    column("nr_as_nr", pa.int64(), "events", "nuclear recoils with p > 1/2, unweighted"),
    column("roc_er_leakage", pa.list_(pa.float64()), "", "points of the ROC, ascending: share of ER kept"),
    column("roc_nr_acceptance", pa.list_(pa.float64()), "", "points of the ROC, ascending: share of NR kept"),
    column("roc_er_events", pa.list_(pa.float64()), "events", "effective ER kept at the same points: their error"),
    column("lineage", pa.string(), "", "digest of everything that made this row"),
])  # fmt: skip

DIAGNOSTICS = pa.schema([
    column("model", pa.string(), "", "model family"),
    column("role", pa.string(), "", "role in the score, or floor: (cS1, cS2, drift time) alone, same training"),
    *CLASSIFIED,
])  # fmt: skip

POSTERIOR_PREDICTIVE = pa.schema([
    column("section", pa.string(), "", "stretch of the representation"),
    column("feature", pa.int64(), "", "number of the feature within its section, from 0"),
    column("ppc_mean", pa.float64(), "", "mean of (drawn - real) / test_sd; null: the same in all test events", True),
    column("ppc_sd", pa.float64(), "", "standard deviation of it over events", True),
    column("test_mean", pa.float64(), "the feature's", "mean over the test events, electron recoils"),
    column("test_sd", pa.float64(), "the feature's", "standard deviation over the test events"),
])  # fmt: skip

LATENT = pa.schema([
    EVENTS.field("event"), EVENTS.field("kind"), EVENTS.field("energy_keV"), *AUTOENCODER_TERMS,
    column("mu", pa.list_(pa.float32()), "", "mean of q(z|x)"),
    column("tsne_1", pa.float64(), "", "first coordinate of the map of mu; null: not on the map", True),
    column("tsne_2", pa.float64(), "", "second coordinate of the map of mu", True),
])  # fmt: skip

EXAMPLES = pa.schema([
    EVENTS.field("event"), EVENTS.field("kind"), EVENTS.field("energy_keV"),
    column("real", pa.list_(pa.float32()), "the feature's", "what the autoencoder saw"),
    column("reconstructed", pa.list_(pa.float32()), "the feature's", "what it made of it, at z = mu"),
])  # fmt: skip


OBSERVED = pa.schema([
    column("statistic", pa.string(), "", "test statistic; combined: the smallest p of all, on the toys they share"),
    column("R", pa.float64(), "", "weight in the score, 0 where it has none; null: no score is used", True),
    column("exposure_ty", pa.float64(), "t y", "fiducial mass times live time"),
    column("q", pa.float64(), "", "of the observed events; of combined, the smallest p"),
    column("p", pa.float64(), "", "P(q or more) under background only, from toys, (k + 1) / (n + 1)"),
    column("p_low", pa.float64(), "", "lower end of the central 68.27 % interval of p: the count of toys"),
    column("p_high", pa.float64(), "", "upper end of the central 68.27 % interval of p"),
    column("tail", pa.string(), "", "counted, or bound: no null toy reached q"),
    column("z", pa.float64(), "sigma", "one-sided significance of p"),
    column("p_exact", pa.float64(), "", "the same from the exact law, averaged over the leakage", True),
    column("z_exact", pa.float64(), "sigma", "one-sided significance of p_exact", True),
    column("exact_tail", pa.string(), "", "exact, or bound: p is at most p_exact", True),
    column("pool_limited", pa.bool_(), "", "too few pool events behind the statistic"),
    column("n_toys_null", pa.int64(), "", "toys under background only"),
    column("n_events", pa.int64(), "events", "observed and selected"),
    column("n_background", pa.float64(), "events", "expected selected background events, B"),
    column("trusted", pa.bool_(), "", "the background model fits outside the signal region, p of every fit >= 0.01"),
    column("other_settings", pa.int64(), "", "under which these data were unblinded before: the analyst's trials"),
    column("setting", pa.string(), "", "digest of all that p follows from"),
])  # fmt: skip

FITS = pa.schema([
    column("where", pa.string(), "", "outside: of the signal region (beyond the line of 30 % NR); everywhere"),
    column("R", pa.float64(), "", "bins of the score with this R; null: of (cS1, log10 cS2)", True),
    column("deviance", pa.float64(), "", "Poisson deviance of the observed events in bins of equal expectation"),
    column("n_bins", pa.int64(), "", "bins"),
    column("p", pa.float64(), "", "share of background toys, rates and leakage drawn, with as large a deviance"),
    column("n_toys", pa.int64(), "", "toys; p is 1 / (n_toys + 1) at least"),
])  # fmt: skip


def observed_events(terms: list[str]) -> pa.Schema:
    """Observed events by R and falling score; terms: of the models, as ROLE_TERM."""
    return pa.schema([
        column("R", pa.float64(), "", "weight in the score, 0 where it has none"),
        column("rank", pa.int64(), "", "1: the largest TS"),
        column("row", pa.int64(), "", "of the list, from 1"),
        column("run_id", pa.string(), "", "run, as the list has it", True),
        column("event_number", pa.string(), "", "event, as the list has it", True),
        column("TS", pa.float64(), "", "anomaly score"),
        column("n_above", pa.float64(), "events", "background events expected at this TS or above"),
        column("n_above_error", pa.float64(), "events", "its error from the finite pool"),
        column("p_any", pa.float64(), "", "P(background has any event at this TS or above), 1 - exp(-n_above)"),
        column("in_region", pa.bool_(), "", "in the signal region, beyond the line of 30 % NR in (cS1, cS2)"),
        column("cs1_pe", pa.float64(), "PE", "corrected S1"), column("cs2_pe", pa.float64(), "PE", "corrected S2"),
        column("cs1_phd", pa.float64(), "phd", "corrected S1"), column("cs2_phd", pa.float64(), "phd", "corrected S2"),
        *(column(name, pa.float64(), "nat", "of the frozen model in that role") for name in terms),
    ])  # fmt: skip


def row_order(size: Size) -> list[str]:
    """The columns by which the study's table is sorted."""
    return ["point", "exposure_ty", "m_chi_GeV", size.name, "R", "statistic"]


def nullable(schema: pa.Schema) -> pa.Schema:
    """A schema for rows of which not everything is known: every column may be null."""
    return pa.schema([field.with_nullable(True) for field in schema], schema.metadata)


SIGMA = {"m2": 0, "m1": 1, "p1": 3, "p2": 4}  # places in a band whose middle is the median


def limit_name(word: str, size: Size) -> str:
    """The name of a limit as XENON's releases have it: the unit last."""
    return f"{word}_{size.unit}" if size.unit else word


def observed_limits(size: Size) -> pa.Schema:
    """Limits on the signal's size from observed events, by mass; the names are those of XENON's releases."""
    def of(word: str, meaning: str) -> pa.Field:
        return column(limit_name(word, size), pa.float64(), size.unit, meaning, True)

    return pa.schema([
        column("dm_mass_gev", pa.float64(), "GeV/c2", "WIMP mass; null for a signal without one", True),
        of("sensitivity_median", "median upper end without signal; null: the pool has no signal event"),
        *(of(f"sensitivity_{name}sigma", "quantile of the upper ends without signal; null: none by asymptotics")
          for name in SIGMA),
        of("upper_limit", "upper end, no lower than power_constrained: what is told"),
        of("unconstrained_upper_limit", "upper end of the observed interval"),
        of("upper_limit_error", "error of the unconstrained one from its toys; null: asymptotic"),
        of("sensitivity_median_error", "error of the median from its toys; null: asymptotic"),
        of("lower_limit", "lower end of the observed interval; null: interval is upper"),
        of("power_constrained", "an upper end below it is replaced by it"),
        *(LIMIT.field(name) for name in ("interval", "level", "power", "method", "n_toys", "n_background")),
        column("n_signal", pa.float64(), "events", "expected selected signal events at upper_limit", True),
        column("p_discovery", pa.float64(), "", "P(q_0 or more) without signal, (k + 1) / (n + 1), at this mass", True),
        column("z_discovery_asymptotic", pa.float64(), "sigma", "one-sided, the root of the observed q_0", True),
        *(LIMIT.field(name) for name in ("signal_pool_size", "background_pool_size", "pool_limited", "left_out")),
        OBSERVED.field("exposure_ty"), OBSERVED.field("n_events"),
        column("setting", pa.string(), "", "digest of all that the limit follows from"),
    ])  # fmt: skip


def of_rows(schema: pa.Schema, rows: list[dict]) -> pa.Table:
    """Rows as a table of this schema, which takes of each what it has a column for."""
    return table(schema, {name: [row[name] for row in rows] for name in schema.names})


def table(schema: pa.Schema, columns: dict[str, object]) -> pa.Table:
    """Columns as a table of exactly this schema, in its order; raises KeyError on a column too few or many."""
    if set(columns) != set(schema.names):
        raise KeyError(f"columns differ from the schema: {sorted(set(columns) ^ set(schema.names))}")
    arrays = [pa.array(columns[name]).cast(schema.field(name).type) for name in schema.names]
    return pa.Table.from_arrays(arrays, schema=schema)
