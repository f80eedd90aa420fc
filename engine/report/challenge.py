"""What is said of a challenge: the page that goes with its lists, and a judgement in lines."""

from collections.abc import Iterator

from engine.inference.exact.power import P_THREE_SIGMA
from engine.inference.significance import clopper_pearson
from engine.report.markdown import table
from engine.run.challenge import FACTOR, KNOWN, WITH_SIGNAL, ExpectedRate, pulses_of
from engine.run.judgement import ALARM, COLUMNS, LEVEL, Judgement
from engine.study import Study

ANSWERS = "answers.csv"
UNITS = {
    "cs1_pe, cs2_pe": "S1 and S2, corrected for light collection and electron lifetime; PE",
    "s1_pe, s2_pe": "the same before corrections; PE",
    "drift_us": "drift time; us",
    "x_cm, y_cm": "where the recoil was, without an error of reconstruction; cm from the axis",
}
PULSES = {
    "s1_waveform, s2_waveform": "summed over all tubes; PE per sample",
    "s1_sample_ns, s2_sample_ns": "width of a sample; ns",
    "s1_area_per_channel, s2_area_per_channel": "PE of every tube, of the top and then of the bottom array",
}


def readme(study: Study, name: str, rates: list[ExpectedRate], exposure_ty: float, n_lists: int) -> str:
    """The page of a challenge, in Markdown."""
    pulses = pulses_of(study)
    end = "parquet" if pulses else "csv"
    windows = ", ".join(f"{key} in {list(ends)}" for key, ends in study.backgrounds.windows("ER").items()) or "all"
    of_rates = table(
        ("component", "recoil", "events expected", "1 sigma"),
        [(rate.name, rate.kind, f"{rate.expected:.4g}", f"{100 * rate.relative_uncertainty:.3g} %") for rate in rates],
    )
    known = study.backgrounds.rates == "idealised"
    how = "rates are known" if known else "in every list each rate is drawn from its 1 sigma"
    columns = UNITS | (PULSES if pulses else {})
    of_columns = table(("column", "what it is"), [(f"`{key}`", what) for key, what in columns.items()])
    return f"""# A challenge: which of these searches saw a signal?

Simulated by recoilscan from the study `{name}`: detector `{study.detector.name}`, {exposure_ty:g} t y a list.

- `search_*.{end}`: {n_lists} lists of a search, of events that are selected ({windows}).
  Each has a signal with probability {WITH_SIGNAL:g}, by its own coin: recoils of one spectrum, which is not told, with
  {FACTOR[0]:g} to {FACTOR[1]:g} times as many events expected as the study's benchmark gives.
- `training.parquet`: electron and nuclear recoils (`kind`) of uniform `energy_keV`, and whether each is `selected`.
- `background.parquet`: selected events of every background, each with its `component`, `kind` and `energy_keV`, in
  the proportions below.
- `calibration_er.{end}`, `calibration_nr.{end}`: selected events of one kind, uniform in energy; lists without truth.

## Columns

{of_columns}

## Backgrounds

Events expected in a search list; {how}. How electron recoils
leak is as simulated, without an uncertainty.

{of_rates}

## Rules

Answer with `{ANSWERS}`, one line for every search list, under the names `{",".join(COLUMNS)}`:

- `name`: of the file; `p_background`: the p-value of the list under background alone, above 0;
- `p_signal`: the probability that a signal was hidden, above 0 and below 1;
- `lower`, `upper`: an interval that holds the number of signal events in the list in {100 * LEVEL:g} % of lists.

Judged are (`recoilscan challenge FOLDER --score {ANSWERS} --answer ANSWER`) the mean logarithm of the probability that
was given to what is true (whoever always says 0.5 has -0.693), false alarms and lists found at p <= {ALARM:g}, and how
often the intervals hold. Any method may be used, and every file but the search lists be trained on. `{KNOWN}` has the
SHA-256 of the answer and of every search list: neither is changed after the fact.
"""


def lines(judged: Judgement) -> Iterator[str]:
    """A judgement, every share with the central 68 % of its binomial."""
    error = "" if judged.error is None else f" +- {judged.error:.3f}"
    yield f"log score of p_signal, mean of {judged.n} lists: {judged.log_score:.3f}{error} (always 0.5: -0.693)"
    yield f"false alarms at p_background <= {ALARM:g}: {_share(*judged.alarms)} of the lists without a signal"
    if judged.p_small is not None:
        yield (f"p_background of those is no smaller than uniform: p = {judged.p_small:.3g} (Kolmogorov and Smirnov, "
               "one-sided)")  # fmt: skip
    yield f"found at p_background <= {ALARM:g}: {_share(*judged.found)} of the lists with a signal"
    yield f"found at three sigma, p_background <= {P_THREE_SIGMA:.3g}: {_share(*judged.three_sigma)} of them"
    yield (f"intervals that hold the number of signal events: {_share(*judged.covered)}, {LEVEL:g} were asked for; "
           f"median width {judged.width:.3g}")  # fmt: skip


def _share(k: int, n: int) -> str:
    if not n:
        return "0 of 0"
    low, high = clopper_pearson(k, n)
    return f"{k} of {n} ({k / n:.2f} [{low:.2f}, {high:.2f}])"
